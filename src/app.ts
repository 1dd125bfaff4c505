import type { App, Jobs } from './app/app.ts';
import type { AppConfig } from './app/app-config.ts';
import { loadMaker } from './app/known-repositories.ts';
import { loadHoldId } from './app/open-hosts.ts';
import { openParts, type Parts, type SharedParts } from './app/open-parts.ts';
import type { ManagedVolume } from './hosts/managed-volumes.ts';
import type { BackupRequest } from './backup/index.ts';
import { loggedInit, loggedRepositories, loggedRetention, loggedUpkeep } from './app/logged-parts.ts';
import { openPolicies, type LoadedConfiguration, type OpenedApp } from './policies/index.ts';
import { openMigrations } from './volumes/index.ts';
import { openRepositories, openUpkeep } from './repositories/index.ts';
import { openProof } from './proof/index.ts';
import type { Protection } from './activity/index.ts';
import { openReading } from './snapshots/index.ts';
import { openRestoring } from './restore/index.ts';
import { openRetention } from './retention/index.ts';
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
        openOther: (asked) => parts.openOther(asked),
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
        openOther: (asked) => parts.openOther(asked),
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
      const { lookAround } = await import('./volumes/index.ts');
      return await lookAround(parts, options);
    },
    managed: () => parts.managed(),
    async restoreTrash(which, options = {}) {
      const { restoreTrash } = await import('./volumes/index.ts');
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
      const { listTrash } = await import('./volumes/index.ts');
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
      const { runCommand } = await import('./volumes/index.ts');
      const { stateDir } = config;
      const runParts = { managed: await parts.managed(), stateDir, holdId: await loadHoldId() };
      return await runCommand(runParts, request, options);
    },
    async init(options = {}) {
      const { initialize } = await import('./repositories/index.ts');
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
      const { backup } = await import('./backup/index.ts');
      const { settleHeld: settleRestore } = await import('./restore/index.ts');
      const base = request.base ?? (await defaultsOf(parts, config, request));
      return await backup(parts, { ...request, base }, { ...options, settleRestore });
    },
    async check(request, options = {}) {
      const { checkAll } = await import('./proof/index.ts');
      return await checkAll(parts, request, options);
    },
    async recover(options = {}) {
      const before = await parts.recovered();
      const { recoverMore } = await import('./restore/index.ts');
      const report = await recoverMore(parts, before, options);
      const { recoverStreamed } = await import('./restore/index.ts');
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
  const { tellingOfFailure } = await import('./backup/index.ts');
  const work = (): Promise<LoadedConfiguration> => parts.source.current();
  const { defaults, file } = await tellingOfFailure(parts, request, { work, isUsageTold: true });
  // Of a file that was named for one command no copy is left behind.
  if (configFile === undefined) await parts.source.keep();
  return file === undefined ? undefined : { from: `"defaults" in "${file}"`, settings: defaults };
}
