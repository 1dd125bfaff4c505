import type { Catalog } from '../catalog/catalog.ts';
import { knownError } from '../lib/known-error.ts';
import type { Host } from '../hosts/host.ts';
import type { ManagedHost, ManagedVolumes } from '../volumes/index.ts';
import type { Protection } from '../activity/index.ts';
import type { RecoverReport } from '../restore/index.ts';
import type { AppConfig } from './app-config.ts';
import type { ConfiguredParts } from './known-repositories.ts';
import { once } from './once.ts';
import { openPutRight } from './put-right.ts';
import { isUnwritable } from './unwritable.ts';

/** Where volumes are. Whatever killed work has left on a host is put right before anybody is handed it. */
export interface Hosts {
  host(): Promise<Host>;
  /** The volumes that Holdfast keeps itself. Opening them asks no container engine for anything. */
  managed(): Promise<ManagedVolumes>;
  /** The same, where they are the host's; undefined at an engine. */
  managedOfHost(): Promise<ManagedVolumes | undefined>;
  /** What was brought back when the host was opened. */
  recovered(): Promise<RecoverReport>;
}

export interface HostsParts extends ConfiguredParts {
  readonly config: AppConfig;
  /** What is opened is closed with it. */
  readonly opened: AsyncDisposableStack;
  /** Asked for when a host is there. */
  readonly protection: () => Protection;
}

export function openHosts({ config, opened, catalog, configuration, protection }: HostsParts): Hosts {
  const putRight = openPutRight(config, protection);
  const ownHost = once(async () => opened.use(await openOwnHost(config, catalog)));
  const settledHost = once(async () => {
    const engine = await openEngineHost(config, { catalog, configuration });
    const own = engine === undefined ? await ownHost() : undefined;
    const found = engine === undefined ? await ownHost() : opened.use(engine);
    try {
      await putRight.settle(found, { managed: own?.managed });
      await putRight.removeTrials(found);
      // After that: an app must not start on data that is half restored.
      return { found, own, recovered: await putRight.recover(found) };
    } catch (error) {
      // What a command that only reads cannot put right keeps nobody from their backups.
      if (config.onlyReads !== true || !isUnwritable(error)) throw error;
      config.onWarning?.(`What killed work has left is not put right: ${knownError(error).message}`);
      return { found, own, recovered: { jobs: [], hooks: [], elsewhere: 0 } };
    }
  });
  const host = async (): Promise<Host> => (await settledHost()).found;
  const managed = once(async () => {
    if (config.host === 'embedded') await host();
    const own = await ownHost();
    // Whether they are the host's too may not be known: an engine that is asked may be waiting for these volumes.
    if (config.host !== 'embedded')
      await putRight.settle(own, { ofHost: (await own.info()).identity, managed: own.managed });
    return own.managed;
  });
  const managedOfHost = async (): Promise<ManagedVolumes | undefined> => (await settledHost()).own?.managed;
  return { host, managed, managedOfHost, recovered: async () => (await settledHost()).recovered };
}

/** Undefined where the volumes are those that Holdfast keeps itself. */
async function openEngineHost(
  config: AppConfig,
  { catalog, configuration }: ConfiguredParts,
): Promise<Host | undefined> {
  const { env, onWarning, dataWay } = config;
  const kind = config.host ?? (await configuration()).host ?? 'auto';
  if (kind === 'podman') {
    const { openPodmanHost } = await import('../hosts/docker/index.ts');
    return await openPodmanHost({ env, onWarning, dataWay });
  }
  if (kind === 'docker') {
    const { openAtDockersPlace } = await import('../hosts/docker/index.ts');
    return await openAtDockersPlace({ env, onWarning, dataWay });
  }
  if (kind === 'auto') {
    const { engineProbes } = await import('../hosts/docker/index.ts');
    const { chooseHost } = await import('./choose-host.ts');
    const hasOwnVolumes = async (): Promise<boolean> => (await catalog()).listEmbeddedVolumes().length > 0;
    return await chooseHost({
      stateDir: config.stateDir,
      probes: engineProbes({ env, onWarning, dataWay }),
      hasOwnVolumes,
    });
  }
  return undefined;
}

/** The volumes that Holdfast keeps itself, on its drivers. */
async function openOwnHost(config: AppConfig, catalog: () => Promise<Catalog>): Promise<ManagedHost> {
  const { stateDir, env, onWarning } = config;
  const { openManagedHost } = await import('../volumes/index.ts');
  const { openDrivers } = await import('../drivers/open-drivers.ts');
  const secret = async (reference: string): Promise<Uint8Array> => {
    const { readPassword } = await import('../lib/password.ts');
    return await readPassword(reference, env, { stateDir });
  };
  const drivers = openDrivers({ stateDir, secret });
  return await openManagedHost({ stateDir, catalog: await catalog(), drivers, onWarning });
}

/** Makes an id for holds that end with this process. */
export async function loadHoldId(): Promise<() => string> {
  const { processHoldId } = await import('../volumes/index.ts');
  return processHoldId;
}
