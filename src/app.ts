import type { AppConfig } from './app/app-config.ts';
import { loadMaker } from './app/known-repositories.ts';
import { loadHoldId } from './app/open-hosts.ts';
import { openParts, type Parts, type SharedParts } from './app/open-parts.ts';
import type { VolumeEngine } from './volumes/index.ts';
import type { RestoreTrashOptions } from './volumes/restore-trash.ts';
import type { RunOptions, RunReport, RunRequest } from './volumes/run/run-types.ts';
import type { ManagedVolume, ManagedVolumes, TrashedVolume } from './hosts/managed-volumes.ts';
import type { BackupReport, BackupRequest } from './backup/backup-types.ts';
import type { Surroundings } from './volumes/bind-mounts/look-around.ts';
import type { InitReport } from './repositories/init.ts';
import { loggedInit, loggedRepositories, loggedRetention, loggedUpkeep } from './app/logged-parts.ts';
import type { LoadedConfiguration } from './policies/configuration/load-configuration.ts';
import { type Migrations, openMigrations } from './volumes/migrate/migrations.ts';
import { openRepositories } from './repositories/open-repositories.ts';
import { openPolicies, type Policies } from './policies/open-policies.ts';
import type { OpenedApp } from './policies/policy-app.ts';
import { openProof, type Proof } from './proof/proof.ts';
import type { JobOptions, Protection } from './activity/protection.ts';
import type { RecoverReport } from './restore/recover.ts';
import { openReading, type Reading } from './snapshots/reading.ts';
import type { Repositories } from './repositories/repositories.ts';
import { openRestoring, type Restoring } from './restore/restoring.ts';
import { openRetention, type Retention } from './retention/retention.ts';
import { openUpkeep, type OtherRepository, type Upkeep } from './repositories/upkeep.ts';
import { openWord, type Word } from './app/word.ts';
import type { CheckReport } from './repository/index.ts';
import type { RecoveredVolume } from './restore/recover-streamed.ts';
import type { Volume } from './model/volume.ts';
import { openServices, type Services } from './surfaces/open-services.ts';

/** All that Holdfast can do, for its surfaces. Parts are opened when they are first needed, and closed with the App. */
export interface App
  extends
    AsyncDisposable,
    Jobs,
    Reading,
    Restoring,
    Migrations,
    Upkeep,
    Retention,
    Repositories,
    Policies,
    Word,
    Proof,
    Services {
  readonly config: AppConfig;

  /** The lifecycle of volumes on the host. */
  volumes(): Promise<VolumeEngine>;
  /** Where containers run, and all that they keep data in. Looks, and changes nothing. */
  lookAround(options?: JobOptions): Promise<Surroundings>;
  /** The volumes that Holdfast keeps itself on its drivers, whatever the host is. */
  managed(): Promise<ManagedVolumes>;
  /** Brings a volume back from the trash to whoever had it, Holdfast or an engine, and returns its name. */
  restoreTrash(which: string, options?: RestoreTrashOptions): Promise<string>;
  /** With the containers of engines other than the host as consumers, for people to see. */
  withConsumersElsewhere(volumes: readonly Volume[], signal?: AbortSignal): Promise<readonly Volume[]>;
  /** Renames a volume that Holdfast keeps itself, also for an engine that has it by the plugin. */
  renameManaged(
    name: string,
    to: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<ManagedVolume>;
  /** What is in the trash, the newest first. Puts back first what a killed `restoreTrash` has left on its way. */
  listTrash(): Promise<TrashedVolume[]>;
}

async function makeKnown(config: AppConfig, volume: ManagedVolume, signal?: AbortSignal): Promise<void> {
  const { makeKnownToEngine } = await import('./app/engine-of-plugin.ts');
  await makeKnownToEngine(config, volume, signal);
}

/** What needs to know how the App was configured. */
interface Jobs {
  /** Runs a command with volumes that Holdfast keeps itself in their places, in a namespace of its own, on this terminal. */
  run(request: RunRequest, options?: RunOptions): Promise<RunReport>;
  /** Makes the state folder, a key and a repository; may be repeated. */
  init(options?: InitOptions): Promise<InitReport>;
  /** Saves volumes and directories. A target that fails is in the report; what fails for all of them is thrown. */
  backup(request: BackupRequest, options?: JobOptions): Promise<BackupReport>;
  check(request: { readonly readDataPercent: number }, options?: JobOptions): Promise<CheckReport>;
  /**
   * Brings back the containers that jobs have left stopped or paused which were killed; opening the host does so too. And
   * puts right the volumes that restores through their engine have left half restored.
   */
  recover(options?: JobOptions): Promise<RecoverReport & { readonly volumes: readonly RecoveredVolume[] }>;
}

export interface InitOptions extends JobOptions {
  /** Instead of the repository that is configured. */
  readonly location?: string | undefined;
  /** Of the repository's store, by name; undefined takes those that are known. */
  readonly storeOptions?: Readonly<Record<string, string>> | undefined;
  /** Makes it like another repository, so that data which both save is stored once when it is copied. */
  readonly chunkerFrom?: OtherRepository | undefined;
  /** True makes it the one that commands take unless they name another. Undefined leaves that as it is, where there is one. */
  readonly makeDefault?: true | undefined;
}

/** The only place that names implementations. Opens nothing yet. */
export function openApp(config: AppConfig): App {
  return openAppWithParts(config).app;
}

function openAppWithParts(
  config: AppConfig,
  shared?: SharedParts,
): { readonly app: App; readonly parts: Parts } {
  const parts = openParts(config, shared);
  const app: App = {
    config,
    ...loggedUpkeep(
      openUpkeep({
        ...parts,
        env: config.env,
        passwordReference: config.passwordReference,
        openOther: (wish) => parts.openOther(wish),
      }),
      parts,
    ),
    ...loggedRetention(openRetention(parts), parts),
    ...loggedRepositories(
      openRepositories({
        ...config,
        catalog: () => parts.catalog(),
        configuration: () => parts.source.current(),
        maker: loadMaker,
        openOther: (wish) => parts.openOther(wish),
      }),
      parts,
    ),
    ...openPolicies({
      ...config,
      protection: parts,
      source: parts.source,
      open: (repository) => openForPolicy(config, repository, parts),
    }),
    ...openMigrations(async () => ({ ...parts, holdId: await loadHoldId() })),
    ...openReading(parts),
    ...openRestoring(parts),
    ...openWord(parts),
    ...openProof(parts),
    ...openServices(parts),
    ...openJobs(config, parts),
    volumes: () => parts.volumes(),
    async lookAround(options = {}) {
      const { lookAround } = await import('./volumes/bind-mounts/look-around.ts');
      return await lookAround(parts, options);
    },
    managed: () => parts.managed(),
    async restoreTrash(which, options = {}) {
      const { restoreTrash } = await import('./volumes/restore-trash.ts');
      const isOwnWanted = config.host === 'embedded';
      const managed = await parts.managed();
      const ownIsBack = (volume: ManagedVolume, signal?: AbortSignal): Promise<void> =>
        makeKnown(config, volume, signal);
      const wanted = { ...config, managed, host: () => parts.host(), isOwnWanted, ownIsBack };
      return await restoreTrash(wanted, which, options);
    },
    async withConsumersElsewhere(volumes, signal) {
      const { withConsumersElsewhere } = await import('./app/consumers-elsewhere.ts');
      const { kind } = await parts.host();
      return await withConsumersElsewhere(volumes, { env: config.env, host: kind, signal });
    },
    async renameManaged(name, to, options = {}) {
      const volume = await (await parts.managed()).rename(name, to, options);
      await makeKnown(config, volume, options.signal);
      return volume;
    },
    async listTrash() {
      const { listTrash } = await import('./volumes/restore-trash.ts');
      return await listTrash({ ...config, managed: await parts.managed() });
    },
    [Symbol.asyncDispose]: () => parts.close(),
  };
  return { app, parts };
}

function openJobs(config: AppConfig, parts: Parts): Jobs {
  return {
    async run(request, options = {}) {
      const { runCommand } = await import('./volumes/run/run-command.ts');
      const { stateDir } = config;
      const runParts = { managed: await parts.managed(), stateDir, holdId: await loadHoldId() };
      return await runCommand(runParts, request, options);
    },
    async init(options = {}) {
      const { initialize } = await import('./repositories/init.ts');
      const maker = await loadMaker();
      const { repository, ...rest } = config;
      const { location = repository, storeOptions, chunkerFrom: like, makeDefault, signal } = options;
      const chunkerFrom = like && (() => parts.openOther(like));
      const request = { ...rest, location, options: storeOptions, chunkerFrom, makeDefault, signal };
      return await loggedInit(parts, async () =>
        initialize(request, { catalog: await parts.catalog(), maker }),
      );
    },
    async backup(request, options = {}) {
      const { backup } = await import('./backup/backup.ts');
      const base = request.base ?? (await defaultsOf(parts, config, request));
      return await backup(parts, { ...request, base }, options);
    },
    async check(request, options = {}) {
      const { checkAll } = await import('./proof/check.ts');
      return await checkAll(parts, request, options);
    },
    async recover(options = {}) {
      const before = await parts.recovered();
      const { recoverMore } = await import('./restore/recover.ts');
      const report = await recoverMore(parts, before, options);
      const { recoverStreamed } = await import('./restore/recover-streamed.ts');
      return { ...report, volumes: await recoverStreamed(parts, options) };
    },
  };
}

/**
 * Opens all anew for one job of a policy, with the repository that the policy names. Only who is told of it stays open:
 * what happens at once is told at once.
 */
function openForPolicy(config: AppConfig, repository: string, shared: SharedParts): OpenedApp {
  // The password that was given is for the repository that was given.
  const isGiven = repository === '' || repository === config.repository;
  const own = isGiven ? config : { ...config, repository, passwordReference: undefined };
  const { source } = shared;
  const { app, parts } = openAppWithParts(own, { source, notifier: () => shared.notifier() });
  return { app, parts, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

/** A file that cannot be used is told as a backup that failed: a timer's own message goes nowhere. */
async function defaultsOf(
  parts: Protection & Pick<Parts, 'source'>,
  { configFile }: Pick<AppConfig, 'configFile'>,
  request: BackupRequest,
): Promise<BackupRequest['base']> {
  const { tellingOfFailure } = await import('./backup/tell-of-backup.ts');
  const work = (): Promise<LoadedConfiguration> => parts.source.current();
  const { defaults, file } = await tellingOfFailure(parts, request, { work, isUsageTold: true });
  // Of a file that was named for one command no copy is left behind.
  if (configFile === undefined) await parts.source.keep();
  return file === undefined ? undefined : { from: `"defaults" in "${file}"`, settings: defaults };
}

export type { AppConfig, BackupReport, BackupRequest, InitReport, JobOptions };
export type { BackupOutcome } from './backup/backup-types.ts';
export type { CheckReport, Progress, SnapshotEntry } from './repository/index.ts';
export type * from './volumes/index.ts';
export type { RunOptions, RunReport, RunRequest };
export type * from './hosts/engine-records.ts';
export type * from './hosts/managed-volumes.ts';
export type { DueHook } from './quiesce/hooks/recover-hooks.ts';
export type { RecoveredJob, RecoverReport } from './restore/recover.ts';
export type { RecoveredVolume, Surroundings };
export type { CoverageReport } from './policies/coverage.ts';
export type * from './volumes/migrate/migrations.ts';
export type * from './policies/open-policies.ts';
export type * from './proof/proof.ts';
export type * from './snapshots/reading.ts';
export type * from './repositories/repositories.ts';
export type * from './restore/restoring.ts';
export type * from './retention/retention.ts';
export type * from './repositories/upkeep.ts';
export type * from './app/word.ts';
