import type { Host } from '../hosts/host.ts';
import { describeConsumers, inUseError } from '../model/consumers.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { matchesFilter, type VolumeFilter } from '../model/filter.ts';
import { quote } from '../model/quote.ts';
import type { Volume } from '../model/volume.ts';
import { type RemovalPlace, removeOne } from './remove-volumes.ts';
import { measureVolume } from './usage/measure-volumes.ts';
import type {
  PruneChoice,
  PrunePlan,
  PruneReport,
  VolumeFailure,
  VolumeWorkOptions,
} from './host-volumes.ts';

/** What a prune would do, with the sizes of what it would remove. */
export async function planPrune(
  { host, protectedNames }: RemovalPlace,
  filter: VolumeFilter,
  options: VolumeWorkOptions,
): Promise<PrunePlan> {
  const volumes = await host.listVolumes({ signal: options.signal });
  const plan = choosePrune(volumes, filter, new Set(await protectedNames.list()));
  const remove: PruneChoice[] = [];
  for (const choice of plan.remove)
    remove.push({ ...choice, bytes: await sizeOf(host, choice.volume, options) });
  return { ...plan, remove };
}

/** Decides for each volume that the filter matches. Pure. */
export function choosePrune(
  volumes: readonly Volume[],
  filter: VolumeFilter,
  guarded: ReadonlySet<string> = new Set(),
): PrunePlan {
  const remove: PruneChoice[] = [];
  const keep: PruneChoice[] = [];
  for (const volume of volumes) {
    if (!matchesFilter(volume, { ...filter, dangling: undefined })) continue;
    const { isRemoved, ...decision } = guarded.has(volume.name)
      ? { isRemoved: false, reason: 'protected' as const, why: 'It is protected.' }
      : decide(volume, filter.all);
    (isRemoved ? remove : keep).push({ volume, ...decision, bytes: undefined });
  }
  return { remove, keep };
}

interface Decision extends Pick<PruneChoice, 'reason' | 'why'> {
  readonly isRemoved: boolean;
}

/** Docker's rules in its order: volumes of another driver, or with options, are never pruned. */
function decide(volume: Volume, includesNamed: boolean): Decision {
  const { consumers, driver, options, anonymous } = volume;
  if (consumers.length > 0) {
    return { isRemoved: false, reason: 'in-use', why: `It is in use by ${describeConsumers(consumers)}.` };
  }
  if (driver !== 'local') {
    return {
      isRemoved: false,
      reason: 'other-driver',
      why: `Its driver is ${quote(driver)}; only volumes of "local" are pruned.`,
    };
  }
  const names = Object.keys(options);
  if (names.length > 0) {
    const list = names.map(quote).join(', ');
    return {
      isRemoved: false,
      reason: 'has-options',
      why: `It was made with options (${list}), which prune leaves alone.`,
    };
  }
  if (anonymous)
    return {
      isRemoved: true,
      reason: 'unused-anonymous',
      why: 'No container uses it, and it has no name of its own.',
    };
  if (includesNamed) return { isRemoved: true, reason: 'unused-named', why: 'No container uses it.' };
  return {
    isRemoved: false,
    reason: 'named',
    why: 'It has a name; only anonymous volumes are pruned unless all are asked for.',
  };
}

/** Undefined where measuring would mean streaming everything, or fails: that must not stop a prune. */
async function sizeOf(host: Host, volume: Volume, options: VolumeWorkOptions): Promise<number | undefined> {
  try {
    await using data = await host.openData(volume.name, { signal: options.signal });
    if (data.way === 'stream') return undefined;
    return (await measureVolume(data, volume.name, { signal: options.signal })).bytes;
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled') throw error;
    return undefined;
  }
}

/** Removes what was planned, except what has come into use, or was recreated, since then. */
export async function applyPrune(
  place: RemovalPlace,
  plan: PrunePlan,
  options: VolumeWorkOptions,
): Promise<PruneReport> {
  const removed: string[] = [];
  const failures: VolumeFailure[] = [];
  let bytesReclaimed = 0;
  for (const { volume, bytes } of plan.remove) {
    const now = await place.host.findVolume(volume.name, { signal: options.signal });
    if (now === undefined) continue;
    const error =
      changeSince(volume, now) ?? (await removeOne(place, volume.name, { signal: options.signal }));
    if (error !== undefined) failures.push({ name: volume.name, error });
    else {
      removed.push(volume.name);
      bytesReclaimed += bytes ?? 0;
    }
  }
  return { removed, bytesReclaimed, failures };
}

function changeSince(planned: Volume, now: Volume): AppError | undefined {
  if (now.consumers.length > 0) return inUseError('remove', now.name, now.consumers);
  if (now.createdAt === planned.createdAt && now.driver === planned.driver) return undefined;
  return new AppError(
    'conflict',
    `Cannot remove ${quote(now.name)}: it was made anew since the prune was planned`,
  );
}
