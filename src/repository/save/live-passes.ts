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
}

/** What was seen of data in use. */
export interface LiveSave {
  readonly treeId: string;
  readonly trees: LiveTrees;
  readonly passes: number;
  /** How long the last of them took. */
  readonly lastPassMs: number;
  readonly proofs: ProofBook;
}

const maxPasses = 4;
/** What changes in so short a time is soon read. */
const shortPassMs = 1500;

/**
 * Goes through a directory while it is in use, and again as long as that takes less and less time, until hardly any passes
 * in which something could change: what is left to read when it is still is then as little as it gets. All that is read
 * is stored.
 */
export async function saveLive(work: LiveWork): Promise<LiveSave> {
  let { parents, parentTreeId } = work;
  let beforeMs = Infinity;
  const proofs: ProofBook = new Map();
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
    const tookMs = performance.now() - began;
    // Where as much changes as is read, another pass only stores what nobody will restore.
    const converges = tookMs < beforeMs / 2;
    if (tookMs < shortPassMs || !converges || passes === maxPasses)
      return { treeId, trees, passes, lastPassMs: tookMs, proofs };
    beforeMs = tookMs;
    parents = trees;
    parentTreeId = treeId;
  }
}
