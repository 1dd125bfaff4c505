import os from 'node:os';
import path from 'node:path';
import type { Catalog } from '../catalog/catalog.ts';
import { knownError } from '../lib/known-error.ts';
import { isAppError } from '../model/errors.ts';
import { type LeaseScope, openLeaseScope, type Work } from '../leases/index.ts';
import {
  openHostVolumes,
  openForeignTrash,
  type HostVolumes,
  WatchedSizes,
  type ProtectedNames,
} from '../volumes/index.ts';
import { type ConfigurationSource, openConfigurationSource } from '../policies/index.ts';
import { loggedHostVolumes } from './logged-rooms.ts';
import { type Notifier, openAuditLog, openNotifier } from '../activity/index.ts';
import { refuseHalfRestored, type RestoresAccess } from '../restore/index.ts';
import type { EngineLinks } from './app.ts';
import { type AppConfig, placeOf } from './app-config.ts';
import { type KnownRepositories, openKnownRepositories } from './known-repositories.ts';
import { openJobs, type JobRegistry } from './jobs.ts';
import { keepCatalogCopy } from './catalog-copy.ts';
import { makeStateFolder } from './make-state-folder.ts';
import { once, onceIn } from './once.ts';
import { isUnwritable } from './unwritable.ts';
import { type Findings, type Hosts, openHosts } from './open-hosts.ts';
import { openBorrowedCatalog } from './borrowed-catalog.ts';
import { openRecordsForPlugin } from './engine-of-plugin.ts';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { recoverCatalog } from './recover-catalog.ts';
import type { Host } from '../hosts/host.ts';

/** The parts of an App. Each is opened when it is first needed, and all are closed together. */
export interface Parts extends RestoresAccess, Hosts, Pick<KnownRepositories, 'openOther'> {
  readonly engineLinks: EngineLinks;
  readonly source: ConfigurationSource;
  readonly findings: Findings;
  readonly jobs: JobRegistry;
  volumes(): Promise<HostVolumes>;
  close(): Promise<void>;
}

/** What several Apps of one program share. */
export type SharedParts = Pick<Parts, 'notifier' | 'source' | 'findings' | 'jobs'>;

/** Opens nothing yet. */
export function openParts(config: AppConfig, shared?: SharedParts): Parts {
  const opened = new AsyncDisposableStack();
  const { stateDir } = config;
  const catalog = onceIn(opened, async (attempt): Promise<Catalog> => {
    try {
      return await openOwnCatalog(config, attempt);
    } catch (error) {
      const isBusy = isAppError(error, 'locked');
      if (config.onlyReads !== true || !(isBusy || isUnwritable(error))) throw error;
      const { message } = knownError(error);
      config.onWarning?.(`${message}. What follows is read from a copy of it, and nothing is remembered.`);
      return await openBorrowedCatalog(stateDir, attempt);
    }
  });
  const source = shared?.source ?? openConfigurationSource(placeOf(config));
  const configured = { catalog, configuration: () => source.current() };
  const findings = shared?.findings ?? { told: new Set() };
  const hosts = openHosts({ config, opened, ...configured, notifier: () => parts.notifier(), findings });
  const repositories = openKnownRepositories(config, opened, configured);
  const parts: Parts = {
    source,
    findings,
    jobs: shared?.jobs ?? openJobs(),
    ...hosts,
    ...repositories,
    stateDir,
    catalog,
    log: openAuditLog({ ...config, now: Date.now, catalog }),
    notifier: once(async () =>
      shared === undefined ? opened.use(await openOwnNotifier(config, parts)) : await shared.notifier(),
    ),
    volumes: once(async () => {
      const host = await hosts.host();
      const protectedNames = openProtectedNames(host, catalog);
      const managed = await hosts.managedOfHost();
      const leases = (): Promise<LeaseScope> => openLeaseScope({ stateDir, catalog, host: hosts.host });
      const refuse = async (name: string, work: Work): Promise<void> => {
        const { identity: hostIdentity } = await host.info();
        await refuseHalfRestored({ stateDir, catalog: await catalog() }, { hostIdentity, name }, work);
      };
      const means = { host, managed, protectedNames, leases, refuseHalfRestored: refuse };
      return loggedHostVolumes(openHostVolumes(means), parts.log);
    }),
    engineLinks: {
      identity: async () => (await catalog()).stateId(),
      isProtected: async (engineId, name) => (await catalog()).volumes.isProtected(engineId, name),
      async openTrash() {
        return opened.use(await openForeignTrash({ stateDir, managed: await hosts.managed() }));
      },
      async openSizes() {
        return new WatchedSizes();
      },
      async openRecords(driver) {
        return await openRecordsForPlugin(config, driver);
      },
    },
    async close() {
      await repositories.opened();
      await opened.disposeAsync();
    },
  };
  return parts;
}

async function openOwnCatalog(
  { stateDir, stays, onWarning }: AppConfig,
  opened: AsyncDisposableStack,
): Promise<Catalog> {
  await makeStateFolder(stateDir);
  const found = opened.use(
    openSqliteCatalog(path.join(stateDir, 'catalog.db'), { mayBeAlone: stays !== true }),
  );
  const lost = await recoverCatalog(stateDir, found);
  if (lost !== undefined) onWarning?.(lost);
  opened.defer(() => keepCatalogCopy(stateDir, found));
  return found;
}

async function openOwnNotifier(config: AppConfig, parts: Parts): Promise<Notifier> {
  // Closing it still needs the catalog.
  await parts.catalog();
  return openNotifier({
    ...config,
    // Each time: the daemon may have reloaded its configuration.
    channels: async () => (await parts.source.lastUsable()).notify,
    hostname: os.hostname(),
    now: Date.now,
    catalog: parts.catalog,
    log: parts.log,
  });
}

/** The protected volumes of a host, which must not be removed, from the catalog. */
function openProtectedNames(host: Host, catalog: () => Promise<Catalog>): ProtectedNames {
  const memory = once(async () => ({
    identity: (await host.info()).identity,
    known: (await catalog()).volumes,
  }));
  return {
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
}
