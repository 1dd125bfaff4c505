import { toText } from '../model/byte-string.ts';
import { entryTime, type ListedEntry, listedEntryAsJson, modeAsJson } from '../model/listed-entry.ts';
import type { Change } from './compare-trees.ts';
import type { DiffResult } from './diff.ts';
import type { FoundEntry } from './find.ts';

/** What is read of snapshots, as JSON documents. */
export interface SnapshotsJson {
  readonly entry: (entry: ListedEntry) => object;
  readonly found: (found: FoundEntry) => object;
  readonly diff: (result: Pick<DiffResult, 'before' | 'after'>, changes: readonly Change[]) => object;
}

export const snapshotsJson: SnapshotsJson = {
  entry: listedEntryAsJson,
  found: foundAsJson,
  diff: diffAsJson,
};

export interface ChangeTotals {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly metadata: number;
  readonly bytesAdded: number;
  readonly bytesRemoved: number;
}

export function totalsOf(changes: readonly Change[]): ChangeTotals {
  const totals = { added: 0, removed: 0, changed: 0, metadata: 0, bytesAdded: 0, bytesRemoved: 0 };
  for (const { kind, sizeBefore, sizeAfter } of changes) {
    totals[kind]++;
    if (kind === 'metadata') continue;
    totals.bytesAdded += sizeAfter ?? 0;
    totals.bytesRemoved += sizeBefore ?? 0;
  }
  return totals;
}

function diffAsJson(
  { before, after }: Pick<DiffResult, 'before' | 'after'>,
  changes: readonly Change[],
): object {
  return {
    before: before.id,
    after: after?.id ?? null,
    totals: totalsOf(changes),
    changes: changes.map(({ path, kind, type, sizeBefore, sizeAfter }) => ({
      path: toText(path),
      kind,
      type,
      sizeBefore: sizeBefore ?? null,
      sizeAfter: sizeAfter ?? null,
    })),
  };
}

function foundAsJson({ snapshot, entry }: FoundEntry): object {
  const { path, type, mode, uid, gid, size, mtimeNs } = entry;
  return {
    snapshotId: snapshot.id,
    volume: snapshot.name,
    time: snapshot.time,
    path: toText(path),
    type,
    mode: modeAsJson(mode),
    uid,
    gid,
    size,
    modifiedAt: entryTime(mtimeNs),
  };
}
