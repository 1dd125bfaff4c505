import type { SnapshotEntry } from '../repository/index.ts';
import type { Change } from './compare-trees.ts';
import { diff, type DiffRequest, type DiffResult } from './diff.ts';
import { dump, type DumpRequest } from './dump.ts';
import { findEntries, type FindRequest, type FoundEntry } from './find.ts';
import { type JobOptions, type Protection } from '../activity/index.ts';
import {
  type ListedSnapshot,
  listFiles,
  listSnapshots,
  type SnapshotFilter,
  type SnapshotPath,
} from './snapshots.ts';
import { measureStats, type StatsReport } from './stats.ts';

/** Shows snapshots, and changes nothing. */
export interface Snapshots {
  list(filter: SnapshotFilter, options?: JobOptions): Promise<ListedSnapshot[]>;
  /** The entries below a path of a snapshot, the path itself first. */
  listFiles(where: SnapshotPath, options?: JobOptions): AsyncIterable<SnapshotEntry>;
  /** The differences between two snapshots, or between a snapshot and the live volume. */
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
    list: async (request, options = {}) => await listSnapshots(parts, request, options),
    async *listFiles(where, options = {}) {
      yield* listFiles(parts, where, options);
    },
    diff: async (request, options = {}) => await diff(parts, request, options),
    async *dump(request, options = {}) {
      yield* dump(parts, request, options);
    },
    async *find(request, options = {}) {
      yield* findEntries(parts, request, options);
    },
    stats: async (request, options = {}) => await measureStats(parts, request, options),
  };
}

export type { Change, DiffRequest, DiffResult, DumpRequest, ListedSnapshot, SnapshotFilter };
