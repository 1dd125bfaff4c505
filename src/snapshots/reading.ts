import type { SnapshotEntry } from '../repository/index.ts';
import type { Change } from './compare-trees.ts';
import type { DiffRequest, DiffResult } from './diff.ts';
import type { DumpRequest } from './dump.ts';
import type { FindRequest, FoundEntry } from './find.ts';
import { loadedLate, type JobOptions, type Protection } from '../activity/index.ts';
import type { ListedSnapshot, SnapshotFilter, SnapshotPath } from './snapshots.ts';
import type { StatsReport } from './stats.ts';

/** What shows people their snapshots, and changes nothing. */
export interface Snapshots {
  list(filter: SnapshotFilter, options?: JobOptions): Promise<ListedSnapshot[]>;
  /** The entries below a path of a snapshot, the path itself first. */
  listFiles(where: SnapshotPath, options?: JobOptions): AsyncIterable<SnapshotEntry>;
  /** What differs between two snapshots, or between a snapshot and the live volume. */
  diff(request: DiffRequest, options?: JobOptions): Promise<DiffResult>;
  /** The bytes of a file, or a folder as tar. */
  dump(request: DumpRequest, options?: JobOptions): AsyncIterable<Uint8Array>;
  /** Files and folders in snapshots, newest snapshot first. */
  find(request: FindRequest, options?: JobOptions): AsyncIterable<FoundEntry>;
  /** How much is stored, for all volumes or one. */
  stats(filter: Pick<SnapshotFilter, 'name'>, options?: JobOptions): Promise<StatsReport>;
}

export function openSnapshots(parts: Protection): Snapshots {
  return {
    list: loadedLate(parts, async () => (await import('./snapshots.ts')).listSnapshots),
    async *listFiles(where, options = {}) {
      const { listFiles } = await import('./snapshots.ts');
      yield* listFiles(parts, where, options);
    },
    diff: loadedLate(parts, async () => (await import('./diff.ts')).diff),
    async *dump(request, options = {}) {
      const { dump } = await import('./dump.ts');
      yield* dump(parts, request, options);
    },
    async *find(request, options = {}) {
      const { findEntries } = await import('./find.ts');
      yield* findEntries(parts, request, options);
    },
    stats: loadedLate(parts, async () => (await import('./stats.ts')).measureStats),
  };
}

export type { Change, DiffRequest, DiffResult, DumpRequest, ListedSnapshot, SnapshotFilter };
