import type { ByteString } from '../model/byte-string.ts';
import type { Change } from '../snapshots/index.ts';

/** What a restore changes in existing data. */
export interface RestoreChanges {
  /** In the snapshot and not in the live data: comes back. */
  readonly comesBack: number;
  readonly changes: number;
  readonly metadata: number;
  /** In the live data and not in the snapshot: goes away. */
  readonly goesAway: number;
  /** Live files that were written after the snapshot was taken. */
  readonly newer: number;
  readonly examples: readonly {
    readonly kind: 'comes back' | 'changes' | 'goes away';
    readonly path: ByteString;
    readonly isNewer: boolean;
  }[];
}

const examplesAtMost = 5;

/** Counts the changes as seen from the live data; `changes` lead from the snapshot to the live data. */
export async function summarize(changes: AsyncIterable<Change>, since: string): Promise<RestoreChanges> {
  const takenNs = BigInt(Date.parse(since)) * 1_000_000n;
  const counts = { comesBack: 0, changes: 0, metadata: 0, goesAway: 0, newer: 0 };
  const examples: RestoreChanges['examples'][number][] = [];
  const kinds = { removed: 'comes back', added: 'goes away', changed: 'changes' } as const;
  for await (const change of changes) {
    if (change.path === '') continue;
    if (change.kind === 'metadata') counts.metadata++;
    else if (change.kind === 'removed') counts.comesBack++;
    else if (change.kind === 'added') counts.goesAway++;
    else counts.changes++;
    const isNewer = change.type === 'file' && change.kind !== 'removed' && change.mtimeNsAfter > takenNs;
    if (isNewer) counts.newer++;
    if (change.kind === 'metadata') continue;
    // Newer data has its own share of the examples, because the user must not overlook it.
    const shown = examples.filter((example) => example.isNewer === isNewer).length;
    if (shown < examplesAtMost) examples.push({ kind: kinds[change.kind], path: change.path, isNewer });
  }
  return { ...counts, examples };
}
