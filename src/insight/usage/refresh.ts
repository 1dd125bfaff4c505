import type { Catalog } from '../../catalog/catalog.ts';
import type { Host } from '../../hosts/host.ts';
import { volumeIdentity } from '../../leases/index.ts';
import { knownError } from '../../lib/known-error.ts';
import { readMounts } from '../../lib/mountinfo.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { toPrintable } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { amount } from '../../model/size.ts';
import type { Volume } from '../../model/volume.ts';
import { measureData } from '../../volumes/index.ts';
import { foundDisk, roomAt } from './disk-room.ts';
import { disksUnder } from './look.ts';
import { writeFound } from './write-found.ts';
import { locationOf } from './location.ts';
import type { FoundPlace } from './plan-write.ts';

export interface RefreshRequest {
  readonly host: Host;
  readonly catalog: Catalog;
  /** These, also on servers; none means all that lie on this machine. */
  readonly names: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((done: { readonly bytes: number; readonly files: number }) => void) | undefined;
}

/** Volumes that could not be measured, with why. */
export type RefreshFailure = { readonly name: string; readonly error: AppError };

/**
 * Measures volumes by reading them, one after the other, and remembers their sizes. A volume that cannot be
 * measured keeps its last size and is in the report. What was measured before a cancel is remembered too.
 */
export async function refreshSizes(request: RefreshRequest): Promise<RefreshFailure[]> {
  const { host, catalog, names, signal } = request;
  const info = await host.info({ signal });
  const volumes = await host.listVolumes({ signal });
  const asked = new Set(names);
  const mounts = await readMounts();
  const found: FoundPlace[] = [];
  const failures: RefreshFailure[] = [];
  const locations = [];
  let before = { bytes: 0, files: 0 };
  try {
    for (const volume of volumes) {
      if (names.length > 0 && !asked.has(volume.name)) continue;
      const location = locationOf(volume, { host: host.kind, mounts });
      const lineage = volumeIdentity(catalog, { hostIdentity: info.identity, name: volume.name });
      const facts = factsOf(volume, lineage);
      if ('isFar' in location && location.isFar && !asked.has(volume.name)) {
        found.push({ ...facts, disk: undefined, problem: location.problem, size: undefined });
        continue;
      }
      locations.push(location);
      const lies = 'path' in location && location.disk !== undefined ? toPrintable(location.disk) : undefined;
      try {
        const { unread, ...size } = await measureOne(request, volume.name, before);
        before = { bytes: before.bytes + size.bytes, files: before.files + size.files };
        const disk = size.way === 'walked' ? lies : undefined;
        const problem = unread === 0 ? undefined : `${amount(unread, 'entry', 'entries')} could not be read`;
        found.push({ ...facts, disk, problem, size: { ...size, atMs: Date.now() } });
        if (problem !== undefined)
          failures.push({
            name: volume.name,
            error: new AppError('partial', `${quote(volume.name)} is larger than shown: ${problem}`),
          });
      } catch (error) {
        if (signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
        const known = knownError(error, `Cannot measure ${quote(volume.name)}`);
        failures.push({ name: volume.name, error: known });
        found.push({ ...facts, disk: lies, problem: known.message, size: undefined });
      }
    }
  } finally {
    // After a cancel, volumes are missing that are still there.
    const isAll = names.length === 0 && found.length === volumes.length;
    const isHere = host.kind === 'embedded' || info.isRemote !== true;
    const disks = (isHere ? disksUnder(locations, mounts) : []).flatMap((path) => {
      const room = roomAt(path);
      return room === null ? [] : [foundDisk(path, room)];
    });
    if (found.length > 0)
      await writeFound({ catalog, info, found: [...found, ...disks], isAll, isWatched: false });
  }
  return failures;
}

function factsOf(volume: Volume, lineage: string) {
  const { name, driver, stack, anonymous } = volume;
  return {
    ...({ kind: 'volume', name, lineage, driver, stack, anonymous } as const),
    ...{ capacityBytes: undefined, freeBytes: undefined },
  };
}

async function measureOne(
  { host, signal, onProgress }: RefreshRequest,
  name: string,
  before: { readonly bytes: number; readonly files: number },
): Promise<{
  readonly bytes: number;
  readonly files: number;
  readonly way: 'walked' | 'streamed';
  readonly unread: number;
}> {
  await using data = await host.openData(name, { signal });
  if (data.way === 'direct') await requireAnswer(data.root, { name, signal });
  let unread = 0;
  const { bytes, targetBytes, files, others } = await measureData(data, {
    signal,
    onProblem: ({ reason }) => void (unread += reason === 'unreadable' ? 1 : 0),
    onProgress: (usage) =>
      onProgress?.({ bytes: before.bytes + usage.bytes, files: before.files + usage.files }),
  });
  const way = data.way === 'direct' ? 'walked' : 'streamed';
  return { bytes: bytes + targetBytes, files: files + others, way, unread };
}
