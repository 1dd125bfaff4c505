import type { App, Jobs } from './app/app.ts';
import type { AppConfig } from './app/app-config.ts';
import { loadMaker } from './app/known-repositories.ts';
import { loadHoldId } from './app/open-hosts.ts';
import { openParts, type Parts, type SharedParts } from './app/open-parts.ts';
import type { ManagedVolume } from './hosts/managed-volumes.ts';
import type { BackupRequest } from './backup/backup-types.ts';
import { loggedInit, loggedRepositories, loggedRetention, loggedUpkeep } from './app/logged-parts.ts';
import type { LoadedConfiguration } from './policies/configuration/load-configuration.ts';
import { openMigrations } from './volumes/migrate/migrations.ts';
import { openRepositories } from './repositories/open-repositories.ts';
import { openPolicies } from './policies/open-policies.ts';
import type { OpenedApp } from './policies/policy-app.ts';
import { openProof } from './proof/proof.ts';
import type { Protection } from './activity/protection.ts';
import { openReading } from './snapshots/reading.ts';
import { openRestoring } from './restore/restoring.ts';
import { openRetention } from './retention/retention.ts';
import { openUpkeep } from './repositories/upkeep.ts';
import { openWord } from './app/word.ts';

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
    ...openJobs(config, parts),
    engineLinks: parts.engineLinks,
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

async function makeKnown(config: AppConfig, volume: ManagedVolume, signal?: AbortSignal): Promise<void> {
  const { makeKnownToEngine } = await import('./app/engine-of-plugin.ts');
  await makeKnownToEngine(config, volume, signal);
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
      const { settleHeld: settleRestore } = await import('./restore/settle.ts');
      const base = request.base ?? (await defaultsOf(parts, config, request));
      return await backup(parts, { ...request, base }, { ...options, settleRestore });
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
