import { quote } from '../../model/quote.ts';
import { formatSize } from '../../model/size.ts';
import type { ManagedVolume, ManagedVolumes } from '../../volumes/index.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import { lackOf } from './full-disk.ts';
import type { MountAnswer } from './mount-answers.ts';

/**
 * The health of the volumes that Holdfast keeps itself, and the limits that only their driver knows. `wanted`
 * says of which; one that hangs is left to the diagnosis of that.
 */
export async function diagnoseManaged(
  managed: Pick<ManagedVolumes, 'list' | 'health' | 'room'>,
  answers: ReadonlyMap<string, MountAnswer>,
  wanted: (name: string) => boolean,
): Promise<Diagnosis> {
  const volumes = (await managed.list()).filter(
    ({ name, mountpoint }) => wanted(name) && answers.get(mountpoint)?.kind !== 'silent',
  );
  const found = await Promise.all(volumes.map((volume) => lookAt(managed, volume)));
  return { findings: found.flat(), notLookedAt: [] };
}

async function lookAt(
  managed: Pick<ManagedVolumes, 'health' | 'room'>,
  volume: ManagedVolume,
): Promise<DoctorFinding[]> {
  const { name } = volume;
  const { status, message = '' } = await managed.health(name);
  if (status === 'failed' || status === 'unreachable' || status === 'degraded')
    return [unwell(volume, { status, message })];
  const room = await managed.room(name).catch(() => {
    // Removed meanwhile, or a driver without a number.
    return undefined;
  });
  if (room === undefined) return [];
  const lack = lackOf({ ...room, totalInodes: 0, freeInodes: 0 });
  return lack === undefined
    ? []
    : [limitReached(volume, `${formatSize(room.freeBytes)} of ${formatSize(room.totalBytes)} are free`)];
}

function unwell(
  { name, kind, mountpoint }: ManagedVolume,
  { status, message }: { readonly status: string; readonly message: string },
): DoctorFinding {
  const works = status === 'degraded';
  return {
    id: 'HF-D015',
    rule: 'volume-unwell',
    severity: 'downtime',
    subject: { kind: 'volume', name },
    message: `Volume ${quote(name)} is not well: ${message}`,
    meaning: works ? 'It works now, and may not for long.' : 'It cannot be mounted, or not be used as it is.',
    evidence: [`it is kept by the driver ${quote(kind)}, at ${quote(mountpoint)}`],
    remedy: works
      ? 'Save it while it works, and mend what the message names.'
      : 'Mend what the message names; where its data is gone, restore it.',
    commands: [
      ['holdfast', 'volume', 'health', name],
      // What works, or is only away, has newer data than any backup.
      ...(works ? [['holdfast', 'backup', name]] : []),
      ...(status === 'failed' ? [['holdfast', 'restore', name]] : []),
    ],
    position: undefined,
    fix: undefined,
  };
}

function limitReached({ name, mountpoint }: ManagedVolume, left: string): DoctorFinding {
  return {
    id: 'HF-D032',
    rule: 'limit-reached',
    severity: 'downtime',
    subject: { kind: 'volume', name },
    message: `The limit of volume ${quote(name)} is reached: ${left}`,
    meaning: 'Writes fail with "No space left on device" or "Disk quota exceeded".',
    evidence: [`it is at ${quote(mountpoint)}`],
    remedy: 'Raise the limit, or remove what is no longer needed.',
    commands: [['holdfast', 'volume', 'resize', name, 'SIZE']],
    position: undefined,
    fix: undefined,
  };
}
