import { type ChangeTotals, snapshotsJson, type SnapshotsJson, totalsOf } from './as-json.ts';
import type { SnapshotEntry } from '../repository/index.ts';
import type { Change } from './compare-trees.ts';
import { diff, type DiffRequest, type DiffResult } from './diff.ts';
import { dump, type DumpRequest } from './dump.ts';
import { findEntries, type FindRequest, type FoundEntry } from './find.ts';
import type { JobOptions } from '../activity/index.ts';
import {
  type ListedSnapshot,
  listFiles,
  listSnapshots,
  type SnapshotFilter,
  type SnapshotPath,
} from './snapshots.ts';
import { openSources, type SnapshotAccess, type SnapshotSources } from './sources.ts';
import { measureStats, type StatsReport } from './stats.ts';

/** Shows snapshots, and changes nothing. */
export interface Snapshots {
  readonly asJson: SnapshotsJson;
  totalsOf(changes: readonly Change[]): ChangeTotals;
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

export function openSnapshots(access: SnapshotAccess): Snapshots {
  const open = (): Promise<SnapshotSources> => openSources(access);
  return {
    asJson: snapshotsJson,
    totalsOf,
    list: async (request, options = {}) => await listSnapshots(await open(), request, options),
    async *listFiles(where, options = {}) {
      yield* listFiles(await open(), where, options);
    },
    diff: async (request, options = {}) => await diff(await open(), request, options),
    async *dump(request, options = {}) {
      yield* dump(await open(), request, options);
    },
    async *find(request, options = {}) {
      yield* findEntries(access, request, options);
    },
    stats: async (request, options = {}) => await measureStats(await open(), request, options),
  };
}

export type { Change, ChangeTotals, DiffRequest, DiffResult, DumpRequest, ListedSnapshot, SnapshotFilter };
