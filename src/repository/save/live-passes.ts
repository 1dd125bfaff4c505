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
  /** A tally for each pass. */
  readonly tally: () => SaveTally;
  readonly now: () => number;
  /** What takes no longer may be read while it is still. */
  readonly fitsMs: number;
  /** What was seen of it before, to go on from. */
  readonly before?: LiveSave | undefined;
}

/** What was seen of data in use. */
export interface LiveSave {
  readonly treeId: string;
  readonly trees: LiveTrees;
  /** In all. */
  readonly passes: number;
  /** How long the last of them took. */
  readonly lastPassMs: number;
  readonly proofs: ProofBook;
}

const maxPasses = 6;

/**
 * Goes through a directory while it is in use, and again until that takes no longer than it may be still, or hardly less
 * than the pass before: what is left to read when it is still is then as little as it gets. All that is read is stored.
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
    // What other programs have written to the same disk is written down before it is still.
    const tookMs = performance.now() - began - saver.cleanedMs;
    // Where as much changes as is read, another pass only stores what nobody will restore.
    const converges = tookMs < beforeMs / 2;
    if (tookMs <= fitsMs || !converges || passes === maxPasses)
      return { treeId, trees, passes: passesBefore + passes, lastPassMs: tookMs, proofs };
    beforeMs = tookMs;
    parents = trees;
    parentTreeId = treeId;
  }
}
