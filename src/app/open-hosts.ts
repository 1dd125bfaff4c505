import type { Notifier } from '../activity/index.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Host } from '../hosts/host.ts';
import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { removeLeftBenchmarks } from '../insight/index.ts';
import { removeLeftTrials } from '../proof/index.ts';
import {
  isAnythingLeft,
  nothingRecovered,
  recoverHost,
  recoverOwnVolumes,
  type RecoverReport,
} from '../restore/index.ts';
import { type ManagedHost, type ManagedVolumes, openManagedHost } from '../volumes/index.ts';
import type { AppConfig, RecoveryPlace } from './app-config.ts';
import type { ConfiguredScope } from './known-repositories.ts';
import { once } from './once.ts';
import { isUnwritable } from './unwritable.ts';
import { engineProbes, openAtDockersPlace, openPodmanHost } from '../hosts/docker/index.ts';
import { chooseHost } from './choose-host.ts';
import { openDrivers } from '../drivers/open-drivers.ts';
import { workerModule } from '../lib/worker-module.ts';
import { readPassword } from '../lib/password.ts';

export interface Hosts {
  /**
   * Brings to its end what killed work has left in a place, before anything is done there: without it the two below throw.
   * Surfaces call it when they start. Done once; later calls get the first report. Never throws: what cannot be reached or
   * recovered is when it is asked for, before it is handed out. What stays as it was is not told a second time by this process.
   */
  recoverAtStart(place: RecoveryPlace): Promise<RecoverReport>;
  readonly host: () => Promise<Host>;
  /** The managed volumes. Asks no container engine for anything. */
  managed(): Promise<ManagedVolumes>;
  /** The same, when they are the host's; undefined at an engine. */
  managedOfHost(): Promise<ManagedVolumes | undefined>;
}

export interface HostsScope extends ConfiguredScope {
  readonly config: AppConfig;
  /** Closes what is opened. */
  readonly opened: AsyncDisposableStack;
  /** Called when there is a host. */
  readonly notifier: () => Promise<Notifier>;
  readonly findings: Findings;
}

/** What this process's last recovery reported; several Apps may share it. */
export interface Findings {
  told: ReadonlySet<string>;
}

export function openHosts(scope: HostsScope): Hosts {
  const { config, opened, catalog, configuration } = scope;
  const ownHost = once(async () => opened.use(await openOwnHost(config, catalog)));
  const foundHost = once(async (): Promise<FoundHost> => {
    const engine = await openEngineHost(config, { catalog, configuration });
    return engine === undefined ? await foundOwn() : { host: opened.use(engine), managed: undefined };
  });
  const foundOwn = async (): Promise<FoundHost & { readonly managed: ManagedVolumes }> => {
    const host = await ownHost();
    return { host, managed: host.managed };
  };
  const openAt = { host: foundHost, own: foundOwn };
  /** The places that surfaces have asked to recover. */
  const asked = new Set<RecoveryPlace>();
  const recoveries = new Map<RecoveryPlace, Promise<RecoverReport>>();
  // Where managed volumes are the host's, recovering the host covers them.
  const placeOf = (place: RecoveryPlace): RecoveryPlace => (config.host === 'embedded' ? 'host' : place);
  let turn: Promise<unknown> = Promise.resolve();
  const recover = (place: RecoveryPlace, found: FoundHost): Promise<RecoverReport> => {
    const begun = recoveries.get(place);
    if (begun !== undefined) return begun;
    // In turn: two at it would each find the other at work, and go on.
    const recovery = turn.then(() => recoverPlace(place, found, scope));
    recoveries.set(place, recovery);
    // One that fails is tried again before the place is handed out the next time.
    turn = recovery.catch(() => recoveries.delete(place));
    return recovery;
  };
  const open = async (wanted: RecoveryPlace): Promise<FoundHost> => {
    const place = placeOf(wanted);
    if (!asked.has(place))
      throw new AppError('failed', 'What killed work has left has to be looked at first', {
        hint: `Call recoverAtStart('${wanted}') on the App that was opened.`,
      });
    const found = await openAt[place]();
    // Done already, unless the place could not be reached then.
    await recover(place, found);
    return found;
  };
  return {
    async recoverAtStart(wanted) {
      const place = placeOf(wanted);
      asked.add(place);
      const before = recoveries.get(place);
      try {
        if (before !== undefined) return await before;
        if (!mayBeLeft(config.stateDir)) return nothingRecovered;
        return await recover(place, await openAt[place]());
      } catch {
        // What needs the place opens and recovers it again, and tells why it cannot. Other work goes on.
        return nothingRecovered;
      }
    },
    host: async () => (await open('host')).host,
    async managed() {
      await open('own');
      return (await ownHost()).managed;
    },
    managedOfHost: async () => (await open('host')).managed,
  };
}

function mayBeLeft(stateDir: string): boolean {
  try {
    return isAnythingLeft(stateDir);
  } catch {
    // What cannot be read is said when it is recovered.
    return true;
  }
}

interface FoundHost {
  readonly host: Host;
  /** Undefined at an engine. */
  readonly managed: ManagedVolumes | undefined;
}

async function recoverPlace(
  place: RecoveryPlace,
  { host, managed }: FoundHost,
  { config, catalog, notifier, findings }: HostsScope,
): Promise<RecoverReport> {
  const { stateDir, onWarning, onlyReads } = config;
  const access = { stateDir, catalog, notifier, host: async () => host };
  const found = new Set<string>();
  const onNote = (note: string): void => {
    if (!findings.told.has(note) && !found.has(note)) onWarning?.(note);
    found.add(note);
  };
  try {
    if (place === 'host')
      return await recoverHost(access, {
        managed,
        removeTrials: removeLeftTrials,
        removeBenchmarks: removeLeftBenchmarks,
        onNote,
      });
    await recoverOwnVolumes(access, { managed, onNote });
    return nothingRecovered;
  } catch (error) {
    // A command that only reads goes on although it cannot recover: the user still gets at the backups.
    if (onlyReads !== true || !isUnwritable(error)) throw error;
    onNote(`What killed work has left is not put right: ${knownError(error).message}`);
    return nothingRecovered;
  } finally {
    findings.told = found;
  }
}

/** Undefined when the volumes are managed ones. */
async function openEngineHost(
  config: AppConfig,
  { catalog, configuration }: ConfiguredScope,
): Promise<Host | undefined> {
  const { env, onWarning, dataWay } = config;
  const putBackModule = workerModule('./put-back-worker', import.meta.url);
  const options = { env, onWarning, dataWay, putBackModule };
  const kind = config.host ?? (await configuration()).host ?? 'auto';
  if (kind === 'podman') return await openPodmanHost(options);
  if (kind === 'docker') return await openAtDockersPlace(options);
  if (kind === 'auto') {
    const hasOwnVolumes = async (): Promise<boolean> => (await catalog()).listManagedVolumes().length > 0;
    return await chooseHost({
      stateDir: config.stateDir,
      probes: engineProbes(options),
      hasOwnVolumes,
    });
  }
  return undefined;
}

/** The managed volumes, on Holdfast's drivers. */
async function openOwnHost(config: AppConfig, catalog: () => Promise<Catalog>): Promise<ManagedHost> {
  const { stateDir, env, onWarning } = config;
  const secret = async (reference: string): Promise<Uint8Array> => {
    return await readPassword(reference, env, { stateDir });
  };
  const drivers = openDrivers({ stateDir, secret });
  return await openManagedHost({ stateDir, catalog: await catalog(), drivers, onWarning });
}
