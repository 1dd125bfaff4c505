import type { AllRepositories, App, Backups, Volumes } from './app/app.ts';
import type { AppConfig } from './app/app-config.ts';
import { repositoryMaker } from './app/known-repositories.ts';
import { withJobs } from './app/rooms-with-jobs.ts';
import { openParts, type Parts, type SharedParts } from './app/open-parts.ts';
import {
  listTrash,
  lookAround,
  type ManagedVolume,
  openMigrations,
  processHoldId,
  restoreTrash,
  runCommand,
  volumesJson,
} from './volumes/index.ts';
import { openCompose, type Compose, loadProject } from './compose/index.ts';
import {
  backup,
  backupJson,
  type BackupRequest,
  importArchives,
  inspectComposeSettings,
  tellingOfFailure,
} from './backup/index.ts';
import { loggedInit, loggedRepositories, loggedRetention, loggedUpkeep } from './app/logged-rooms.ts';
import { openPolicies, type LoadedConfiguration, type OpenedApp } from './policies/index.ts';
import { openAudit, openBenchmarks, openDoctor, openMetrics, openUsage } from './insight/index.ts';
import { initialize, openRepositories, openUpkeep } from './repositories/index.ts';
import { openProof } from './proof/index.ts';
import type { JobOptions } from './activity/index.ts';
import { openSnapshots } from './snapshots/index.ts';
import {
  openRestores,
  recoverMore,
  recoverStreamed,
  refuseHalfRestored,
  settleHeld as settleRestore,
} from './restore/index.ts';
import { openRetention } from './retention/index.ts';
import { withConsumersElsewhere } from './app/consumers-elsewhere.ts';
import { expectedAddresses } from './app/expected-addresses.ts';
import { makeKnownToEngine } from './app/engine-of-plugin.ts';

/** The only place that names implementations. Opens nothing yet. */
export function openApp(config: AppConfig): App {
  return openAppWithParts(config).app;
}

function openAppWithParts(
  config: AppConfig,
  shared?: SharedParts,
): { readonly app: App; readonly parts: Parts } {
  const parts = openParts(config, shared);
  const rooms = {
    volumes: openVolumes(config, parts),
    backup: openBackups(config, parts),
    restore: openRestores(parts),
    snapshots: openSnapshots(parts),
    retention: loggedRetention(openRetention(parts), parts),
    proof: openProof(parts),
    policies: openPolicies({
      ...config,
      catalog: parts.catalog,
      host: parts.host,
      notifier: parts.notifier,
      source: parts.source,
      open: (repository) => openForPolicy(config, repository, parts),
    }),
    repositories: openAllRepositories(config, parts),
    benchmarks: openBenchmarks(parts),
    async recover(options: JobOptions = {}) {
      const before = await parts.recoverAtStart('host');
      const report = await recoverMore(parts, before, options);
      return { ...report, volumes: await recoverStreamed(parts, options) };
    },
  };
  const app: App = {
    ...withJobs(rooms, parts.jobs),
    metrics: openMetrics(parts, rooms.policies),
    config,
    jobs: parts.jobs,
    audit: openAudit(
      {
        host: () => parts.host(),
        loadProject,
        coverage: (options) => rooms.policies.coverage(options),
        repositories: async () => (await parts.catalog()).listRepositories(),
        env: config.env,
        now: Date.now,
      },
      {
        stateDir: config.stateDir,
        volumes: () => parts.volumes(),
        backUp: (targets, signal) =>
          rooms.backup.run({ targets, stacks: [], all: false, dryRun: false }, { signal }),
      },
    ),
    doctor: openDoctor({
      ...parts,
      ...rooms,
      now: Date.now,
      recovered: () => parts.recoverAtStart('host'),
    }),
    compose: openComposeRoom(parts, rooms.policies),
    usage: openUsage({
      ...parts,
      addresses: async () => {
        // A configuration that cannot be used is told of where the host is opened.
        const host = config.host ?? (await parts.source.lastUsable().catch(() => undefined))?.host;
        return await expectedAddresses({ env: config.env, host });
      },
      // What the host warns of is told by the policies' look of the same minute.
      open: () => openForPolicy({ ...config, onWarning: undefined }, '', parts),
    }),
    activity: {
      listLog: async (filter) => await parts.log.list(filter),
      verifyLog: async ({ signal } = {}) => await parts.log.verify({ signal }),
      testNotifications: async (channel, { signal } = {}) =>
        await (await parts.notifier()).test(channel, { signal }),
    },
    engineLinks: parts.engineLinks,
    recoverAtStart: (place) => parts.recoverAtStart(place),
    [Symbol.asyncDispose]: () => parts.close(),
  };
  return { app, parts };
}

function openVolumes(config: AppConfig, parts: Parts): Volumes {
  return {
    asJson: volumesJson,
    ...openMigrations(async () => {
      const { stateDir } = config;
      const catalog = await parts.catalog();
      return {
        ...{ stateDir, log: parts.log, host: parts.host, holdId: processHoldId },
        ...{ managed: await parts.managed(), catalog },
        refuseHalfRestored: async (hostIdentity, name) =>
          await refuseHalfRestored({ stateDir, catalog }, { hostIdentity, name }, 'migrate'),
      };
    }),
    onHost: () => parts.volumes(),
    managed: () => parts.managed(),
    async lookAround(options = {}) {
      return await lookAround(parts, options);
    },
    async withConsumersElsewhere(volumes, signal) {
      const { kind } = await parts.host();
      return await withConsumersElsewhere(volumes, { env: config.env, host: kind, signal });
    },
    async run(request, options = {}) {
      const { stateDir } = config;
      const scope = { stateDir, managed: await parts.managed(), holdId: processHoldId };
      const leases = { stateDir, catalog: await parts.catalog() };
      return await runCommand({ ...scope, leases }, request, options);
    },
    async rename(name, to, options = {}) {
      const volume = await (await parts.managed()).rename(name, to, options);
      await makeKnownToEngine(config, volume, options.signal);
      return volume;
    },
    async listTrash() {
      return await listTrash({ ...config, managed: await parts.managed() });
    },
    async restoreTrash(which, options = {}) {
      const isOwnWanted = config.host === 'embedded';
      const managed = await parts.managed();
      const ownIsBack = (volume: ManagedVolume, signal?: AbortSignal): Promise<void> =>
        makeKnownToEngine(config, volume, signal);
      const wanted = { ...config, managed, host: parts.host, isOwnWanted, ownIsBack };
      return await restoreTrash(wanted, which, options);
    },
  };
}

/** The room below settings, policies and coverage is told what it needs of them. */
function openComposeRoom(parts: Pick<Parts, 'host' | 'volumes'>, policies: App['policies']): Compose {
  return openCompose({
    ...parts,
    readSettings: inspectComposeSettings,
    policies: async () => (await policies.configuration()).policies.map(({ name }) => name),
    async protection(signal) {
      const { places } = await policies.coverage({ signal });
      return new Map(places.map((place) => [place.name, place]));
    },
  });
}

function openBackups(config: AppConfig, parts: Parts): Backups {
  return {
    asJson: backupJson,
    async run(request, options = {}) {
      const base = request.base ?? (await defaultsOf(parts, config, request));
      return await backup(parts, { ...request, base }, { ...options, settleRestore });
    },
    async importArchives(request, options = {}) {
      return await importArchives(parts, request, options);
    },
  };
}

function openAllRepositories(config: AppConfig, parts: Parts): AllRepositories {
  const { openOther } = parts;
  const { env, passwordReference } = config;
  return {
    ...loggedRepositories(
      openRepositories({
        ...config,
        catalog: parts.catalog,
        configuration: () => parts.source.current(),
        maker: repositoryMaker,
        openOther,
      }),
      parts.log,
    ),
    ...loggedUpkeep(openUpkeep({ ...parts, env, passwordReference, openOther }), parts),
    async init(options = {}) {
      const { repository, ...rest } = config;
      const { location = repository, storeOptions, chunkerFrom: like, makeDefault, signal } = options;
      const chunkerFrom = like && (() => openOther(like));
      const request = { ...rest, location, options: storeOptions, chunkerFrom, makeDefault, signal };
      return await loggedInit(parts.log, async () =>
        initialize(request, { catalog: await parts.catalog(), maker: repositoryMaker }),
      );
    },
  };
}

/**
 * Opens new parts for one job of a policy, with the repository that the policy names. Shares the notifier, so
 * that simultaneous happenings are one message, and the registry of jobs.
 */
function openForPolicy(config: AppConfig, repository: string, shared: SharedParts): OpenedApp {
  // The password that was given is for the repository that was given.
  const isGiven = repository === '' || repository === config.repository;
  const own = isGiven ? config : { ...config, repository, passwordReference: undefined };
  const { source, findings, jobs } = shared;
  const { app, parts } = openAppWithParts(own, {
    source,
    findings,
    jobs,
    notifier: () => shared.notifier(),
  });
  const recoverAtStart = async (): Promise<void> => void (await parts.recoverAtStart('host'));
  return { ...parts, app, recoverAtStart, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

/** Reports a file that cannot be used as a failed backup: the messages of a timer go nowhere. */
async function defaultsOf(
  parts: Pick<Parts, 'source' | 'log' | 'notifier'>,
  { configFile }: Pick<AppConfig, 'configFile'>,
  request: BackupRequest,
): Promise<BackupRequest['base']> {
  const work = (): Promise<LoadedConfiguration> => parts.source.current();
  const { defaults, file } = await tellingOfFailure(parts, request, { work, isUsageTold: true });
  // A file that was named for one command is not copied.
  if (configFile === undefined) await parts.source.keep();
  return file === undefined ? undefined : { from: `"defaults" in "${file}"`, settings: defaults };
}
