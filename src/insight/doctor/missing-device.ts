import type { MountPoint } from '../../lib/mountinfo.ts';
import { fromText } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import type { MountAnswer } from './mount-answers.ts';
import type { Place } from './places.ts';
import { unmountedOver } from './unmounted.ts';
import { wayTo } from './way.ts';

/** Volumes whose options name a device or a folder of this machine that is not there. */
export function diagnoseDevices(
  volumes: readonly Volume[],
  answers: ReadonlyMap<string, MountAnswer>,
  machine: readonly MountPoint[],
): Diagnosis {
  const findings = volumes.flatMap((volume) => {
    const place = placeInOptions(volume);
    if (place === undefined || answers.get(place.path)?.kind === 'silent') return [];
    return isThere(place.path) ? [] : [findingOf(volume, place, unmountedOver(place.path, machine))];
  });
  return { findings, notLookedAt: [] };
}

interface NamedPlace {
  readonly path: string;
  readonly isFolder: boolean;
}

/** Of the driver `local`; pure. */
export function placeInOptions({
  driver,
  options,
}: Pick<Volume, 'driver' | 'options'>): NamedPlace | undefined {
  const { type = '', device = '', o = '' } = options;
  if (driver !== 'local' || !device.startsWith('/') || device.startsWith('//')) return undefined;
  const isBind =
    type === 'bind' || type === 'none' || type === ''
      ? o.split(',').some((word) => /^r?bind$/.test(word))
      : false;
  if (isBind) return { path: device, isFolder: true };
  return device.startsWith('/dev/') ? { path: device, isFolder: false } : undefined;
}

/** The folders that volumes of the driver `local` are mounted from; pure. */
export function foldersInOptions(volumes: readonly Volume[]): Place[] {
  return volumes.flatMap((volume) => {
    const place = placeInOptions(volume);
    const containers = volume.consumers.map(({ name }) => name);
    return place?.isFolder === true
      ? [{ path: place.path, owner: `volume ${quote(volume.name)}`, containers }]
      : [];
  });
}

function isThere(path: string): boolean {
  try {
    wayTo('/', fromText(path));
    return true;
  } catch (error) {
    // What this user may not see is not called missing.
    return errnoOf(error) !== 'ENOENT';
  }
}

/** `away` is the file system that it would lie on, if that is not mounted. */
function findingOf(
  { name, consumers }: Volume,
  { path, isFolder }: NamedPlace,
  away: string | undefined,
): DoctorFinding {
  return {
    id: 'HF-D016',
    rule: 'device-missing',
    severity: 'downtime',
    subject: { kind: 'volume', name },
    message: `Volume ${quote(name)} lies on ${quote(path)}, which is not there`,
    meaning: 'No container that uses it can start.',
    evidence: [
      ...consumers.map((consumer) => `${quote(consumer.name)} uses it`),
      ...(away === undefined ? [] : [`${quote(away)} of /etc/fstab is not mounted`]),
    ],
    remedy:
      away !== undefined
        ? 'Mount the file system that it lies on.'
        : isFolder
          ? 'Bring the folder back, or make it where it was empty.'
          : 'Connect the disk, open its encryption, or correct the name: one by /dev/disk/by-uuid does not change with the order of disks.',
    commands: away !== undefined ? [['mount', away]] : isFolder ? [] : [['lsblk', '-f']],
    position: undefined,
    fix: isFolder && away === undefined ? { kind: 'folder', path, uid: 0, gid: 0 } : undefined,
  };
}
