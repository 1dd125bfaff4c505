import type { ByteString } from '../../model/byte-string.ts';
import { DirectorySaver, type DirectorySaverOptions } from './directory-saver.ts';
import { LiveTrees } from './live-trees.ts';
import type { KnownTrees } from './parent-trees.ts';
import type { ProofBook } from './piece-proof.ts';
import type { SaveTally } from './save-tally.ts';

export interface LiveWork extends Omit<
  DirectorySaverOptions,
  'onTree' | 'tally' | 'clones' | 'parents' | 'proofs'
> {
  readonly root: ByteString;
  readonly parents: KnownTrees | undefined;
  readonly parentTreeId: string | undefined;
  /** Returns a tally for each pass. */
  readonly tally: () => SaveTally;
  readonly now: () => number;
  /** A pass that takes no longer than this may be done while the data is still. */
  readonly fitsMs: number;
  /** An earlier live save to continue from. */
  readonly before?: LiveSave | undefined;
}

/** The result of reading data in use. */
export interface LiveSave {
  readonly treeId: string;
  readonly trees: LiveTrees;
  /** In total. */
  readonly passes: number;
  /** Duration of the last pass, in milliseconds. */
  readonly lastPassMs: number;
  readonly proofs: ProofBook;
}

const maxPasses = 6;

/**
 * Reads a directory in use, again and again until a pass takes no longer than the data may be still, or
 * hardly less than the previous one: then as little as possible is left for the final pass. Everything that
 * is read is stored.
 */
export async function saveLive(work: LiveWork): Promise<LiveSave> {
  const { before, fitsMs } = work;
  let { parents, parentTreeId } = before
    ? { parents: before.trees, parentTreeId: before.treeId }
    : { parents: work.parents, parentTreeId: work.parentTreeId };
  let beforeMs = Infinity;
  const proofs: ProofBook = before?.proofs ?? new Map();
  const passesBefore = before?.passes ?? 0;
  for (let passes = 1; ; passes++) {
    const began = performance.now();
    const trees = new LiveTrees(work.now());
    const saver = new DirectorySaver({
      ...work,
      parents,
      proofs,
      tally: work.tally(),
      onTree: (id, text) => trees.keep(id, text),
    });
    const treeId = await saver.save(work.root, parentTreeId);
    // Excludes the wait for other programs' writes to the same disk, which is done before the data is still.
    const tookMs = performance.now() - began - saver.cleanedMs;
    // When as much changes as is read, another pass would only store data that no snapshot uses.
    const converges = tookMs < beforeMs / 2;
    if (tookMs <= fitsMs || !converges || passes === maxPasses)
      return { treeId, trees, passes: passesBefore + passes, lastPassMs: tookMs, proofs };
    beforeMs = tookMs;
    parents = trees;
    parentTreeId = treeId;
  }
}
