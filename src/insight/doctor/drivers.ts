import type { Host } from '../../hosts/host.ts';
import { knownError } from '../../lib/known-error.ts';
import { quote } from '../../model/quote.ts';
import { isKnownByContainersAlone, type Volume } from '../../model/volume.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';

/** An engine looks for a plugin that is not there for a quarter of a minute. */
const patienceMs = 60_000;

/** Volumes whose plugin was removed, is turned off or does not answer: the engine leaves them out of its list. */
export async function diagnoseDrivers(
  volumes: readonly Volume[],
  find: Host['findVolume'],
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  const byDriver = Map.groupBy(volumes.filter(isKnownByContainersAlone), ({ driver }) => driver);
  const findings: DoctorFinding[] = [];
  const notLookedAt: Remark[] = [];
  const ask = async ([driver, [first, ...others]]: [string, Volume[]]): Promise<void> => {
    if (first === undefined) return;
    const patience = AbortSignal.timeout(patienceMs);
    const bound = { signal: signal === undefined ? patience : AbortSignal.any([signal, patience]) };
    try {
      await find(first.name, bound);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      const { code, message, detail = message } = knownError(error);
      if (code === 'cancelled')
        notLookedAt.push({ subject: `the driver ${quote(driver)}`, reason: 'the engine does not answer' });
      else findings.push(...[first, ...others].map((volume) => driverGone(volume, detail)));
    }
  };
  await Promise.all([...byDriver].map(ask));
  return { findings, notLookedAt };
}

/** One that no container has, which the engine lists only while its plugin is there. */
export async function findUnlisted(
  name: string,
  find: Host['findVolume'],
  signal: AbortSignal | undefined,
): Promise<{ readonly volume: Volume; readonly why: Error } | undefined> {
  try {
    await find(name, { signal });
    return undefined;
  } catch (error) {
    const why = knownError(error);
    const driver = /looking up volume plugin ([^\s"]+): /.exec(why.detail ?? '')?.[1];
    if (driver === undefined) throw error;
    const unknown = {
      mountpoint: undefined,
      createdAt: undefined,
      labels: {},
      options: {},
      stack: undefined,
    };
    return {
      volume: { ...unknown, name, driver, scope: 'local', anonymous: false, consumers: [] },
      why,
    };
  }
}

function driverGone({ name, driver, consumers }: Volume, detail: string): DoctorFinding {
  const isOff = /found but disabled/.test(detail);
  const isManaged = driver.includes(':');
  const how = isOff ? 'is turned off' : /not found/.test(detail) ? 'is not there' : 'does not answer';
  return {
    id: 'HF-D017',
    rule: 'driver-missing',
    severity: 'downtime',
    subject: { kind: 'volume', name },
    message: `Volume ${quote(name)} cannot be used: its driver ${quote(driver)} ${how}`,
    meaning:
      'No container that uses it can start, no new volume can have its name, and it is not saved. Its data is where the plugin has kept it.',
    evidence: [...consumers.map((consumer) => `${quote(consumer.name)} uses it`), detail],
    remedy: isOff
      ? 'Turn the plugin on again.'
      : isManaged
        ? 'Install the plugin again, with the settings that it had ("docker plugin set").'
        : 'Start the program that is the plugin, before the engine looks for it.',
    commands: commandsFor(driver, { isOff, isManaged }),
    position: undefined,
    fix: undefined,
  };
}

function commandsFor(
  driver: string,
  { isOff, isManaged }: { readonly isOff: boolean; readonly isManaged: boolean },
): string[][] {
  if (isOff) return [['docker', 'plugin', 'enable', driver]];
  // One without a slash was made here, by "docker plugin create": no registry has it.
  if (isManaged) return driver.includes('/') ? [['docker', 'plugin', 'install', driver]] : [];
  const units = ['holdfast-plugin.socket', 'holdfast-plugin.service'];
  return driver === 'holdfast' ? [['systemctl', 'enable', '--now', ...units]] : [];
}
