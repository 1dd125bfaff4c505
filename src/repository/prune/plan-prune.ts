import { AppError } from '../../model/errors.ts';
import type { UnusedLimit } from '../../model/unused-limit.ts';
import type { StoredFile } from '../stores/store.ts';
import type { PackUsage } from './pack-usage.ts';
import type { Amount, PruneLimits, PruneSummary } from '../requests.ts';

/** The input of a plan: how much of each pack is used, and what is stored. */
export interface PruneState {
  readonly packs: readonly PackUsage[];
  /** All files in `data`. */
  readonly stored: readonly StoredFile[];
}

/** What to do with each pack, by id. Packs in no list stay as they are. */
export interface PrunePlan {
  /** Indexed, with nothing used. */
  readonly remove: readonly string[];
  /** Indexed and no longer stored, with nothing used: only their index entries are dropped. */
  readonly absent: readonly string[];
  /** Stored, and in no index. */
  readonly unreferenced: readonly string[];
  /** Their used blobs are copied before they are removed. */
  readonly repack: readonly string[];
  readonly summary: PruneSummary;
}

/**
 * Decides what a prune does; pure. `integrity` when a pack with used data is missing or differs in size from
 * the index.
 */
export function planPrune({ packs, stored }: PruneState, limits: PruneLimits): PrunePlan {
  const sizes = new Map(stored.map(({ name, sizeBytes }) => [name, sizeBytes]));
  refuseDamaged(packs, sizes);
  const known = new Set(packs.map(({ id }) => id));
  const unreferenced = stored.filter(({ name }) => !known.has(name));
  const unneeded = packs.filter(({ usedBlobs }) => usedBlobs === 0);
  const remove = unneeded.filter(({ id }) => sizes.has(id));
  const repack = choosePacksToRepack(packs, limits);
  const size = (pack: PackUsage): number => sizes.get(pack.id) ?? 0;
  const removed = amountOf(remove, size);
  const repacked = amountOf(repack, size);
  const leftOver = amountOf(unreferenced, ({ sizeBytes }) => sizeBytes);
  const freedByRepack = sum(repack, ({ unusedBytes }) => unusedBytes);
  const unusedBytes = sum(packs, (pack) => pack.unusedBytes);
  return {
    remove: remove.map(({ id }) => id),
    absent: unneeded.filter(({ id }) => !sizes.has(id)).map(({ id }) => id),
    unreferenced: unreferenced.map(({ name }) => name),
    repack: repack.map(({ id }) => id),
    summary: {
      packs: amountOf(stored, ({ sizeBytes }) => sizeBytes),
      used: { count: sum(packs, (pack) => pack.usedBlobs), bytes: sum(packs, (pack) => pack.usedBytes) },
      unused: { count: sum(packs, (pack) => pack.unusedBlobs), bytes: unusedBytes },
      duplicates: {
        count: sum(packs, (pack) => pack.duplicateBlobs),
        bytes: sum(packs, (pack) => pack.duplicateBytes),
      },
      remove: removed,
      unreferenced: leftOver,
      repack: repacked,
      freedBytes: removed.bytes + leftOver.bytes + freedByRepack,
      unusedAfterBytes: unusedBytes - sum(unneeded, (pack) => pack.unusedBytes) - freedByRepack,
    },
  };
}

/** Nothing is removed while a snapshot lacks data: the rest may be all that can repair it. */
function refuseDamaged(packs: readonly PackUsage[], sizes: ReadonlyMap<string, number>): void {
  const damaged = packs.filter(({ id, usedBlobs, sizeBytes }) => {
    const size = sizes.get(id);
    return size === undefined ? usedBlobs > 0 : size !== sizeBytes;
  });
  const [first] = damaged;
  if (first === undefined) return;
  const what = sizes.has(first.id) ? 'has another size than the index says' : 'is missing';
  const more = damaged.length > 1 ? `, and ${damaged.length - 1} more like it` : '';
  throw new AppError('integrity', `Cannot prune: pack "${first.id.slice(0, 8)}" ${what}${more}`, {
    detail: 'Nothing was removed.',
    hint: 'Run "holdfast check", and repair the repository first.',
  });
}

/** Partly used packs, those with the largest unused part first, until the unused rest is within the limit. */
function choosePacksToRepack(packs: readonly PackUsage[], limits: PruneLimits): PackUsage[] {
  if (limits.maxUnused.kind === 'unlimited') return [];
  const candidates = packs
    .filter((pack) => pack.usedBlobs > 0 && (pack.unusedBlobs > 0 || pack.kind === 'mixed'))
    .sort(
      (a, b) =>
        Number(isAlwaysTidied(b)) - Number(isAlwaysTidied(a)) ||
        b.unusedBytes / b.sizeBytes - a.unusedBytes / a.sizeBytes ||
        (a.id < b.id ? -1 : 1),
    );
  const toleratedBytes = toleratedUnused(
    limits.maxUnused,
    sum(packs, (pack) => pack.usedBytes),
  );
  let unusedBytes = sum(candidates, (pack) => pack.unusedBytes);
  let leftBytes = limits.maxRepackBytes ?? Number.POSITIVE_INFINITY;
  return candidates.filter((pack) => {
    if (pack.sizeBytes > leftBytes) return false;
    if (!isAlwaysTidied(pack) && unusedBytes <= toleratedBytes) return false;
    leftBytes -= pack.sizeBytes;
    unusedBytes -= pack.unusedBytes;
    return true;
  });
}

/** Packs of trees are small, and every restore reads them whole. */
function isAlwaysTidied(pack: PackUsage): boolean {
  return pack.kind !== 'data';
}

/** A percentage refers to all data after the prune. */
function toleratedUnused(limit: Exclude<UnusedLimit, { kind: 'unlimited' }>, usedBytes: number): number {
  if (limit.kind === 'bytes') return limit.bytes;
  return limit.percent >= 100
    ? Number.POSITIVE_INFINITY
    : (usedBytes * limit.percent) / (100 - limit.percent);
}

function amountOf<T>(things: readonly T[], bytesOf: (thing: T) => number): Amount {
  return { count: things.length, bytes: sum(things, bytesOf) };
}

function sum<T>(things: readonly T[], valueOf: (thing: T) => number): number {
  return things.reduce((total, thing) => total + valueOf(thing), 0);
}
