import type { Containers, Container } from '../../hosts/containers.ts';
import type { Host, HostAccess, HostInfo } from '../../hosts/host.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { Remark } from './diagnosis.ts';
import { findUnlisted } from './drivers.ts';
import { choosePatients, type Patients } from './patients.ts';

/** What the engine says of itself, its containers and its volumes. */
export interface Surroundings {
  readonly host: HostInfo | undefined;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly engine: Containers | undefined;
  readonly findVolume: Host['findVolume'];
  readonly notLookedAt: readonly Remark[];
  /** Why the engine was not looked at. */
  readonly failure: Error | undefined;
}

/** An engine that does not answer leaves what can be looked at without it. */
export async function lookAround(
  open: HostAccess['host'],
  signal: AbortSignal | undefined,
): Promise<Surroundings> {
  try {
    const host = await open();
    const [info, containers = [], volumes] = await Promise.all([
      host.info({ signal }),
      host.containers?.list({ signal }),
      host.listVolumes({ signal }),
    ]);
    const remote = {
      subject: `the storage of ${quote(info.name)}`,
      reason: 'the engine is on another machine',
    };
    return {
      host: info,
      containers,
      volumes,
      engine: host.containers,
      findVolume: (name, options) => host.findVolume(name, options),
      notLookedAt: info.isRemote === true ? [remote] : [],
      failure: undefined,
    };
  } catch (error) {
    const failure = knownError(error);
    if (failure.code === 'cancelled') throw error;
    const notLookedAt = [{ subject: 'containers and volumes', reason: failure.message }];
    const nothing = { host: undefined, containers: [], volumes: [], engine: undefined };
    return { ...nothing, findVolume: async () => undefined, notLookedAt, failure };
  }
}

/** A name that the engine lists nowhere may be that of a volume whose plugin is gone. */
export async function withAsked(
  found: Surroundings,
  subject: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Surroundings> {
  if (subject === undefined || !isUnknown(choosePatients(found, subject))) return found;
  const unlisted = await findUnlisted(subject, found.findVolume, signal);
  if (unlisted === undefined) return found;
  const { volume, why } = unlisted;
  // The engine takes its time to say so, and is not asked again.
  return { ...found, volumes: [...found.volumes, volume], findVolume: () => Promise.reject(why) };
}

function isUnknown({ containers, volumes, path }: Patients): boolean {
  return path === undefined && containers.length + volumes.length === 0;
}

/** Without its engine, nothing can be said of a name. */
export function refuseUnknown(subject: string, patients: Patients, failure: Error | undefined): void {
  if (!isUnknown(patients)) return;
  if (failure !== undefined) throw failure;
  throw new AppError('not-found', `There is no volume and no container ${quote(subject)}`, {
    hint: 'See "holdfast volume ls". A path of this machine begins with "/" or ".".',
  });
}
