import os from 'node:os';
import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { Catalog } from './catalog/catalog.ts';
import type { ProtectedNames, VolumeEngine } from './engine/index.ts';
import type { RunOptions, RunReport, RunRequest } from './engine/run/run-types.ts';
import type { Host } from './hosts/host.ts';
import type { ManagedVolumes } from './hosts/managed-volumes.ts';
import { namesIn } from './lib/names-in.ts';
import type { HostKind } from './model/volume.ts';
import type { BackupOutcome, BackupReport, BackupRequest } from './protect/backup.ts';
import type { Change } from './protect/compare-trees.ts';
import type { DiffRequest, DiffResult } from './protect/diff.ts';
import type { DumpRequest } from './protect/dump.ts';
import type { InitReport } from './protect/init.ts';
import type { JobOptions, Protection, RepositoryMaker } from './protect/protection.ts';
import type { ConfigurationPlace, LoadedConfiguration } from './protect/config/load-configuration.ts';
import { openPolicies, type Policies } from './protect/policy/open-policies.ts';
import type { OpenedApp } from './protect/policy/policy-app.ts';
import { openRepositories } from './protect/open-repositories.ts';
import type { Repositories } from './protect/repositories.ts';
import type { RecoverReport } from './protect/quiesce/recover.ts';
import type {
  DumpRestorePlan,
  DumpRestoreReport,
  DumpRestoreRequest,
} from './protect/presets/restore-dump.ts';
import type { RestorePlan, RestoreRequest } from './protect/restore-plan.ts';
import type { RestoreReport } from './protect/restore.ts';
import type { SettleOptions } from './protect/settle.ts';
import type { StackPlan, StackReport, StackRequest } from './protect/restore-stack.ts';
import type { MigrationReport } from './protect/migrate/apply-migration.ts';
import type { MigrationPlan, MigrationRequest } from './protect/migrate/migration-plan.ts';
import type { MigrationParts } from './protect/migrate/plan-migration.ts';
import type { UndoPlan, UndoReport, UndoRequest } from './protect/undo.ts';
import type { UndoRecord } from './protect/undo-records.ts';
import { openProof, type Proof } from './protect/proof.ts';
import { openRetention, type Retention } from './protect/retention.ts';
import type { ListedSnapshot, SnapshotFilter, SnapshotPath } from './protect/snapshots.ts';
import {
  loggedEngine,
  loggedInit,
  loggedRepositories,
  loggedRetention,
  loggedUpkeep,
} from './protect/log/logged-parts.ts';
import { openServices, type Services, type ServicesParts } from './surfaces/open-services.ts';
import { openUpkeep, type OtherRepository, type Upkeep } from './protect/upkeep.ts';
import { openWord, type Word } from './protect/word.ts';
import type { CheckReport, Repository, RepositoryAccess, SnapshotEntry } from './repository/index.ts';

/** What the command line, the environment and the configuration file decided. */
export interface AppConfig {
  readonly stateDir: string;
  /** The configuration file that was named; undefined looks where it usually is. */
  readonly configFile?: string | undefined;
  /** Undefined takes what the configuration file says, else `auto`. */
  readonly host: 'auto' | HostKind | undefined;
  /** `stream` goes through the engine even where the data could be reached directly. */
  readonly dataWay: 'auto' | 'stream';
  /** A repository's name or location; undefined takes the default one. */
  readonly repository: string | undefined;
  /** `file:/path`, `env:NAME`, `exec:command`; undefined takes what the catalog knows. */
  readonly passwordReference: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the host warns about while it answers. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** All that Holdfast can do, for its surfaces. Parts are opened when they are first needed, and closed with the App. */
export interface App
  extends AsyncDisposable, Upkeep, Retention, Repositories, Policies, Word, Proof, Services {
  readonly config: AppConfig;

  /** The lifecycle of volumes on the host. */
  volumes(): Promise<VolumeEngine>;
  /** The volumes that Holdfast keeps itself on its drivers, whatever the host is. */
  managed(): Promise<ManagedVolumes>;

  /** Runs a command with volumes that Holdfast keeps itself in their places, in a namespace of its own, on this terminal. */
  run(request: RunRequest, options?: RunOptions): Promise<RunReport>;

  /** Makes the state folder, a key and a repository; may be repeated. */
  init(options?: InitOptions): Promise<InitReport>;
  /** Saves volumes and directories. A target that fails is in the report; what fails for all of them is thrown. */
  backup(request: BackupRequest, options?: JobOptions): Promise<BackupReport>;
  listSnapshots(filter: SnapshotFilter, options?: JobOptions): Promise<ListedSnapshot[]>;
  /** The entries below a path of a snapshot, the path itself first. */
  listFiles(where: SnapshotPath, options?: JobOptions): AsyncIterable<SnapshotEntry>;
  /** What differs between two snapshots, or between a snapshot and the live volume. */
  diff(request: DiffRequest, options?: JobOptions): Promise<DiffResult>;
  /** The bytes of a file, or a folder as tar. */
  dump(request: DumpRequest, options?: JobOptions): AsyncIterable<Uint8Array>;
  /** What a restore would do; nothing is touched. */
  planRestore(request: RestoreRequest, options?: JobOptions): Promise<RestorePlan>;
  /** Carries a plan out. A failure leaves the volume as it was. */
  applyRestore(plan: RestorePlan, options?: JobOptions): Promise<RestoreReport>;
  /** What feeding the dumps of a snapshot to a running database would do; nothing is touched. */
  planDumpRestore(request: DumpRestoreRequest, options?: JobOptions): Promise<DumpRestorePlan>;
  /** Carries it out. What is there is saved before. */
  applyDumpRestore(plan: DumpRestorePlan, options?: JobOptions): Promise<DumpRestoreReport>;
  /** What restoring all volumes of a stack would do; nothing is touched. */
  planStackRestore(request: StackRequest, options?: JobOptions): Promise<StackPlan>;
  /** Carries it out: all of it, or nothing is changed. */
  applyStackRestore(plan: StackPlan, options?: JobOptions): Promise<StackReport>;
  /** What bringing back the data before a restore would do; nothing is touched. */
  planUndo(request: UndoRequest, options?: JobOptions): Promise<UndoPlan>;
  /** Carries it out. A failure leaves everything as it was. */
  applyUndo(plan: UndoPlan, options?: JobOptions): Promise<UndoReport>;
  /** What is kept for an undo, oldest first. */
  listUndo(): Promise<UndoRecord[]>;
  /** Deletes what is kept of one restore. Permanent. */
  dropUndo(request: Pick<UndoRequest, 'what'>, options?: JobOptions): Promise<UndoRecord[]>;
  /** What moving a volume of Holdfast's own to other storage would do; nothing is touched. */
  planMigration(request: MigrationRequest, options?: JobOptions): Promise<MigrationPlan>;
  /** The same for the way back to the storage that it had before. */
  planMigrationBack(request: Pick<MigrationRequest, 'name'>, options?: JobOptions): Promise<MigrationPlan>;
  /** Carries it out. A failure leaves the volume as it was. */
  applyMigration(plan: MigrationPlan, options?: JobOptions): Promise<MigrationReport>;
  check(request: { readonly readDataPercent: number }, options?: JobOptions): Promise<CheckReport>;
  /** Brings back the containers that jobs have left stopped or paused which were killed. Opening the host does so too. */
  recover(options?: JobOptions): Promise<RecoverReport>;
}

export interface InitOptions extends JobOptions {
  /** Of the repository's store, by name; undefined takes those that are known. */
  readonly storeOptions?: Readonly<Record<string, string>> | undefined;
  /** Makes it like another repository, so that data which both save is stored once when it is copied. */
  readonly chunkerFrom?: OtherRepository | undefined;
}

/** The only place that names implementations. Opens nothing yet. */
export function openApp(config: AppConfig): App {
  return openAppWithParts(config).app;
}

/** What several Apps of one program have in common. */
type SharedParts = Pick<Protection, 'notifier'>;

function openAppWithParts(
  config: AppConfig,
  shared?: SharedParts,
): { readonly app: App; readonly parts: Parts } {
  const opened = new AsyncDisposableStack();
  const parts = openParts(config, opened, shared);
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
        maker: loadMaker,
        openOther: (wish) => parts.openOther(wish),
      }),
      parts,
    ),
    ...openWord(parts),
    ...openPolicies({
      ...config,
      protection: parts,
      place: placeOf(config),
      open: (repository) => openForPolicy(config, repository, parts),
    }),
    ...openProof(parts),
    ...openServices(parts),
    async run(request, options = {}) {
      const { runCommand } = await import('./engine/run/run-command.ts');
      const { processHoldId } = await import('./hosts/embedded/hold-id.ts');
      const { stateDir } = config;
      return await runCommand(
        { managed: await parts.managed(), stateDir, holdId: processHoldId },
        request,
        options,
      );
    },
    volumes: () => parts.volumes(),
    managed: () => parts.managed(),
    async init(options = {}) {
      const { initialize } = await import('./protect/init.ts');
      const maker = await loadMaker();
      const { repository: location, ...rest } = config;
      const { storeOptions, chunkerFrom: like, signal } = options;
      const chunkerFrom = like && (() => parts.openOther(like));
      const makeDefault = like ? undefined : true;
      const request = { ...rest, location, options: storeOptions, chunkerFrom, makeDefault, signal };
      return await loggedInit(parts, async () =>
        initialize(request, { catalog: await parts.catalog(), maker }),
      );
    },
    async backup(request, options = {}) {
      const { backup } = await import('./protect/backup.ts');
      const base = request.base ?? (await defaultsOf(config));
      return await backup(parts, { ...request, base }, options);
    },
    async listSnapshots(filter, options = {}) {
      const { listSnapshots } = await import('./protect/snapshots.ts');
      return await listSnapshots(parts, filter, options);
    },
    async *listFiles(where, options = {}) {
      const { listFiles } = await import('./protect/snapshots.ts');
      yield* listFiles(parts, where, options);
    },
    async diff(request, options = {}) {
      const { diff } = await import('./protect/diff.ts');
      return await diff(parts, request, options);
    },
    async *dump(request, options = {}) {
      const { dump } = await import('./protect/dump.ts');
      yield* dump(parts, request, options);
    },
    async planRestore(request, options = {}) {
      parts.expectRestore();
      const { planRestore } = await import('./protect/restore-plan.ts');
      return await planRestore(parts, request, options);
    },
    async applyRestore(plan, options = {}) {
      const { applyRestore } = await import('./protect/restore.ts');
      return await applyRestore(parts, plan, options);
    },
    async planDumpRestore(request, options = {}) {
      const { planDumpRestore } = await import('./protect/presets/restore-dump.ts');
      return await planDumpRestore(parts, request, options);
    },
    async applyDumpRestore(plan, options = {}) {
      const { applyDumpRestore } = await import('./protect/presets/restore-dump.ts');
      return await applyDumpRestore(parts, plan, options);
    },
    async planStackRestore(request, options = {}) {
      const { planStackRestore } = await import('./protect/restore-stack.ts');
      return await planStackRestore(parts, request, options);
    },
    async applyStackRestore(plan, options = {}) {
      const { applyStackRestore } = await import('./protect/restore-stack.ts');
      return await applyStackRestore(parts, plan, options);
    },
    async planUndo(request, options = {}) {
      const { planUndo } = await import('./protect/undo.ts');
      return await planUndo(parts, request, options);
    },
    async applyUndo(plan, options = {}) {
      const { applyUndo } = await import('./protect/undo.ts');
      return await applyUndo(parts, plan, options);
    },
    async listUndo() {
      const { listUndo } = await import('./protect/undo.ts');
      return await listUndo(parts);
    },
    async dropUndo(request, options = {}) {
      const { dropKept } = await import('./protect/undo.ts');
      return await dropKept(parts, request, options);
    },
    async planMigration(request, options = {}) {
      const { planMigration } = await import('./protect/migrate/plan-migration.ts');
      return await planMigration(await migrationParts(parts), request, options);
    },
    async planMigrationBack(request, options = {}) {
      const { planMigrationBack } = await import('./protect/migrate/plan-migration.ts');
      return await planMigrationBack(await migrationParts(parts), request, options);
    },
    async applyMigration(plan, options = {}) {
      const { applyMigration } = await import('./protect/migrate/apply-migration.ts');
      return await applyMigration(await migrationParts(parts), plan, options);
    },
    async check(request, options = {}) {
      const { checkAll } = await import('./protect/check.ts');
      return await checkAll(parts, request, options);
    },
    async recover(options = {}) {
      const before = await parts.recovered();
      const { recoverMore } = await import('./protect/quiesce/recover.ts');
      return await recoverMore(parts, before, options);
    },
    [Symbol.asyncDispose]: () => parts.close(),
  };
  return { app, parts };
}

async function migrationParts(parts: Parts): Promise<MigrationParts> {
  const { processHoldId } = await import('./hosts/embedded/hold-id.ts');
  return { ...parts, holdId: processHoldId };
}

/**
 * Opens all anew for one job of a policy, with the repository that the policy names. Only who is told of it stays open:
 * what happens at once is told at once.
 */
function openForPolicy(config: AppConfig, repository: string, shared: SharedParts): OpenedApp {
  // The password that was given is for the repository that was given.
  const isGiven = repository === '' || repository === config.repository;
  const own = isGiven ? config : { ...config, repository, passwordReference: undefined };
  const { app, parts } = openAppWithParts(own, { notifier: () => shared.notifier() });
  return { app, parts, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

interface Parts extends Protection, ServicesParts {
  volumes(): Promise<VolumeEngine>;
  /** The volumes that Holdfast keeps itself. Opening them asks no container engine for anything. */
  managed(): Promise<ManagedVolumes>;
  /** What was brought back when the host was opened. */
  recovered(): Promise<RecoverReport>;
  /** Opens another repository than the one that is configured. */
  openOther(wish: OtherRepository): Promise<Repository>;
  /** A restore is about to be planned: what takes its time is started at once. */
  expectRestore(): void;
  close(): Promise<void>;
}

function openParts(config: AppConfig, opened: AsyncDisposableStack, shared?: SharedParts): Parts {
  const catalog = once(async (): Promise<Catalog> => {
    await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
    const { openSqliteCatalog } = await import('./catalog/sqlite-catalog.ts');
    return opened.use(openSqliteCatalog(path.join(config.stateDir, 'catalog.db')));
  });
  const host = once(async () => (await settledHost()).found);
  const ownHost = once(async () => opened.use(await openOwnHost(config, catalog)));
  const settledHost = once(async () => {
    const engine = await openEngineHost(config);
    const found = engine === undefined ? await ownHost() : opened.use(engine);
    await settle(found);
    await removeTrials(found);
    // After that: an app must not start on data that is half restored.
    return { found, recovered: await recover(found) };
  });
  let settling: Promise<void> = Promise.resolve();
  /**
   * Nothing is done on a volume before what a killed restore has left of it is put right. In turn: two at it would each
   * find the other at work, and go on.
   */
  const settle = (found: Host, which?: SettleOptions): Promise<void> =>
    (settling = settling.catch(() => undefined).then(() => settleNow(found, which)));
  const settleNow = async (found: Host, which?: SettleOptions): Promise<void> => {
    const journals = await namesIn(path.join(config.stateDir, 'journal'));
    const kept = await namesIn(path.join(config.stateDir, 'undo'));
    if (journals.length + kept.length === 0) return;
    const { settleAll } = await import('./protect/settle.ts');
    await settleAll({ ...parts, host: async () => found }, { onNote: config.onWarning, ...which });
  };
  const removeTrials = async (found: Host): Promise<void> => {
    const trials = await namesIn(path.join(config.stateDir, 'trials'));
    if (trials.length === 0) return;
    const { removeLeftTrials } = await import('./protect/drill/trial.ts');
    await removeLeftTrials({ ...parts, host: async () => found }, { onNote: config.onWarning });
  };
  const recover = async (found: Host): Promise<RecoverReport> => {
    const journals = await namesIn(path.join(config.stateDir, 'journal-apps'));
    const hooks = await namesIn(path.join(config.stateDir, 'journal-hooks'));
    if (journals.length + hooks.length === 0) return { jobs: [], elsewhere: 0 };
    const { recoverAtStart } = await import('./protect/quiesce/recover.ts');
    return await recoverAtStart({ ...parts, host: async () => found }, { onNote: config.onWarning });
  };
  let purpose: 'restore' | undefined;
  let opening: Promise<unknown> | undefined;
  const repository = once(async () =>
    opened.use(await openKnownRepository({ ...config, purpose }, await catalog())),
  );
  /** The repository's key is derived, and the workers start, while the rest of the code is loaded. */
  const expectRestore = (): void => {
    purpose = 'restore';
    // Whoever needs the repository hears of a failure.
    opening = repository().catch(() => undefined);
  };
  const volumes = once(async () => {
    const { openEngine } = await import('./engine/index.ts');
    const found = await host();
    const memory = once(async () => ({
      identity: (await found.info()).identity,
      known: (await catalog()).volumes,
    }));
    const protectedNames: ProtectedNames = {
      async has(name) {
        const { known, identity } = await memory();
        return known.isProtected(identity, name);
      },
      async list() {
        const { known, identity } = await memory();
        return known.listProtected(identity);
      },
      async set(name, isProtected) {
        const { known, identity } = await memory();
        known.setProtected(identity, name, isProtected);
      },
    };
    return loggedEngine(openEngine({ host: found, protectedNames }), parts);
  });
  const managed = once(async () => {
    if (config.host === 'embedded') await host();
    const own = await ownHost();
    // Whether they are the host's too may not be known: an engine that is asked may be waiting for these volumes.
    if (config.host !== 'embedded') await settle(own, { ofHost: (await own.info()).identity });
    return own.managed;
  });
  const log = once(async () => {
    const { openAuditLog } = await import('./protect/log/open-audit-log.ts');
    return openAuditLog({ ...config, now: Date.now, catalog });
  });
  const ownNotifier = once(async () => {
    const { openNotifier } = await import('./protect/notify/open-notifier.ts');
    // Closing it still needs the catalog.
    await catalog();
    const { hostname } = parts;
    // Asked each time: a daemon may have been told to read its configuration again.
    const channels = async (): Promise<LoadedConfiguration['notify']> => {
      const { loadConfiguration } = await import('./protect/config/load-configuration.ts');
      return (await loadConfiguration(placeOf(config))).notify;
    };
    return opened.use(openNotifier({ ...config, channels, hostname, now: Date.now, catalog, log }));
  });
  const openOther = async (wish: OtherRepository): Promise<Repository> =>
    opened.use(await openKnownRepository({ ...config, ...wish }, await catalog()));
  const parts: Parts = {
    stateDir: config.stateDir,
    hostname: os.hostname(),
    now: Date.now,
    catalog,
    host,
    repository,
    log,
    notifier: shared === undefined ? ownNotifier : () => shared.notifier(),
    volumes,
    managed,
    async foreignTrash() {
      const { openForeignTrash } = await import('./engine/trash-foreign.ts');
      const { stateDir } = config;
      return opened.use(await openForeignTrash({ stateDir, managed: await managed() }));
    },
    isProtected: async (engineId, name) => (await catalog()).volumes.isProtected(engineId, name),
    identity: async () => (await catalog()).stateId(),
    recovered: async () => (await settledHost()).recovered,
    openOther,
    expectRestore,
    async close() {
      await opening;
      await opened.disposeAsync();
    },
  };
  return parts;
}

async function defaultsOf(config: AppConfig): Promise<BackupRequest['base']> {
  const { loadConfiguration } = await import('./protect/config/load-configuration.ts');
  const { defaults, file } = await loadConfiguration(placeOf(config));
  return file === undefined ? undefined : { from: `"defaults" in "${file}"`, settings: defaults };
}

function placeOf({ stateDir, configFile }: AppConfig): ConfigurationPlace {
  return { stateDir, configFile };
}

function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opening: Promise<T> | undefined;
  return () => (opening ??= open());
}

/** Undefined where the volumes are those that Holdfast keeps itself. */
async function openEngineHost(config: AppConfig): Promise<Host | undefined> {
  const { env, onWarning, dataWay } = config;
  const { loadConfiguration } = await import('./protect/config/load-configuration.ts');
  const kind = config.host ?? (await loadConfiguration(placeOf(config))).host ?? 'auto';
  if (kind === 'podman') {
    const { openPodmanHost } = await import('./hosts/docker/index.ts');
    return await openPodmanHost({ env, onWarning, dataWay });
  }
  if (kind === 'docker') {
    const { openDockerHost } = await import('./hosts/docker/index.ts');
    return await openDockerHost({ env, onWarning, dataWay });
  }
  if (kind === 'auto') {
    const { probeDocker, probePodman } = await import('./hosts/docker/index.ts');
    const docker = await probeDocker({ env, onWarning, dataWay });
    return docker ?? (await probePodman({ env, onWarning, dataWay }));
  }
  return undefined;
}

/** The volumes that Holdfast keeps itself, on its drivers. */
async function openOwnHost(
  config: AppConfig,
  catalog: () => Promise<Catalog>,
): Promise<Host & { readonly managed: ManagedVolumes }> {
  const { stateDir, env, onWarning } = config;
  const { openEmbeddedHost } = await import('./hosts/embedded/index.ts');
  const { openDrivers } = await import('./drivers/open-drivers.ts');
  const secret = async (reference: string): Promise<Uint8Array> => {
    const { readPassword } = await import('./protect/password.ts');
    return await readPassword(reference, env);
  };
  const drivers = openDrivers({ stateDir, secret });
  return await openEmbeddedHost({ stateDir, catalog: await catalog(), drivers, onWarning });
}

async function loadMaker(): Promise<RepositoryMaker> {
  const { hasRepository, initRepository, openRepository } = await import('./repository/index.ts');
  return { init: initRepository, open: openRepository, has: hasRepository };
}

async function openKnownRepository(
  config: AppConfig & Pick<RepositoryAccess, 'purpose'>,
  catalog: Catalog,
): Promise<Repository> {
  const { openKnown } = await import('./protect/open-repository.ts');
  const { loadConfiguration } = await import('./protect/config/load-configuration.ts');
  const { openRepository } = await import('./repository/index.ts');
  const { purpose } = config;
  return await openKnown(config, {
    catalog,
    configuration: await loadConfiguration(placeOf(config)),
    open: (access) => openRepository({ ...access, purpose }),
  });
}

export type {
  BackupOutcome,
  BackupReport,
  BackupRequest,
  Change,
  DiffRequest,
  DiffResult,
  DumpRequest,
  InitReport,
  JobOptions,
};
export type { StackPlan, StackReport, StackRequest };
export type { MigrationPlan, MigrationReport, UndoPlan, UndoRecord, UndoReport, UndoRequest };
export type { ListedSnapshot, RestorePlan, RestoreReport, RestoreRequest, SnapshotFilter, SnapshotPath };
export type { CheckReport, Progress, SnapshotEntry } from './repository/index.ts';
export type * from './engine/index.ts';
export type { RunOptions, RunReport, RunRequest };
export type * from './hosts/managed-volumes.ts';
export type { RecoveredJob, RecoverReport } from './protect/quiesce/recover.ts';
export type * from './protect/proof.ts';
export type * from './protect/policy/open-policies.ts';
export type * from './protect/repositories.ts';
export type * from './protect/retention.ts';
export type * from './protect/upkeep.ts';
export type * from './protect/word.ts';
