import type { GroupStats, RepositoryStats } from '../repository/index.ts';
import { groupSnapshots, type SnapshotGroup } from './group-snapshots.ts';
import type { JobOptions } from '../activity/index.ts';
import { listSnapshots, type SnapshotFilter } from './snapshots.ts';
import type { SnapshotSources } from './sources.ts';

interface Ratios {
  /** Restored bytes of the snapshots per byte before compression that they need. Undefined without any. */
  readonly dedupRatio: number | undefined;
  /** Bytes before compression per stored byte. Undefined without any. */
  readonly compressionRatio: number | undefined;
}

/** How much the snapshots of one volume hold; safety snapshots are counted separately. */
export interface VolumeStats extends GroupStats, Ratios, Omit<SnapshotGroup, 'snapshots'> {}

export interface StatsReport extends Omit<RepositoryStats, 'groups' | 'total'> {
  /** Of all volumes, whichever was asked for. */
  readonly total: RepositoryStats['total'] & Ratios;
  /** By name. */
  readonly volumes: readonly VolumeStats[];
}

/**
 * How much is stored, for all volumes or one. A volume's exclusive data depends on all the others, so all are
 * read.
 */
export async function measureStats(
  sources: SnapshotSources,
  filter: Pick<SnapshotFilter, 'name'>,
  options: JobOptions,
): Promise<StatsReport> {
  const chosen = filter.name === undefined ? undefined : await chosenIds(sources, filter, options);
  const snapshots = await listSnapshots(sources, {}, options);
  const own = new Set<unknown>(snapshots.filter(({ isOwn }) => isOwn));
  const groups = groupSnapshots(snapshots, (one) => own.has(one)).sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : 0,
  );
  const { groups: sizes, ...rest } = await sources.repository.stats({
    groups: groups.map((group) => group.snapshots),
    signal: options.signal,
    onProgress: options.onProgress,
  });
  const volumes = groups.flatMap(({ snapshots: members, ...group }, i) => {
    const size = sizes[i];
    const isChosen = chosen === undefined || members.some(({ id }) => chosen.has(id));
    return size === undefined || !isChosen ? [] : [{ ...group, ...size, ...ratiosOf(size) }];
  });
  return { ...rest, total: { ...rest.total, ...ratiosOf(rest.total) }, volumes };
}

async function chosenIds(
  sources: SnapshotSources,
  filter: Pick<SnapshotFilter, 'name'>,
  options: JobOptions,
): Promise<Set<string>> {
  const chosen = await listSnapshots(sources, filter, { signal: options.signal });
  return new Set(chosen.map(({ id }) => id));
}

function ratiosOf(sizes: RepositoryStats['total']): Ratios {
  const { restorableBytes, uncompressedBytes, storedBytes } = sizes;
  return {
    dedupRatio: ratio(restorableBytes, uncompressedBytes),
    compressionRatio: ratio(uncompressedBytes, storedBytes),
  };
}

function ratio(large: number, small: number): number | undefined {
  return small === 0 ? undefined : Math.round((large / small) * 100) / 100;
}
