import { readUserNames, type UserNames } from '../../lib/user-names.ts';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import type { InFlight, SaveProblem } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { findNode } from '../read/find-in-snapshot.ts';
import type { CleanedFilesystems } from './clean-pages.ts';
import { DirectorySaver, type DirectorySaverOptions } from './directory-saver.ts';
import type { EarlyClones } from './early-clones.ts';
import { FileChanges } from './file-changes.ts';
import { type LiveSave, saveLive } from './live-passes.ts';
import { LiveTrees } from './live-trees.ts';
import { NotKeptCounter } from './not-kept.ts';
import { type KnownTrees, ParentTrees } from './parent-trees.ts';
import { dataParts, directoryNode } from './root-tree.ts';
import type { SaveContext, SaveScheduler, StoredCount } from './save-scheduler.ts';
import { SaveTally } from './save-tally.ts';
import type { NotKept, SaveSessionOptions, TreeToSave } from './save-types.ts';
import { StreamSaver } from './stream-saver.ts';

export interface SavedData {
  readonly dataTree: string;
  /** The node of the data's root. */
  readonly dataNode: TreeNode;
}

interface Pending extends Omit<SavedData, 'dataTree'> {
  readonly dataTree: Promise<string>;
  /** What the next pass goes by, where there may be one. */
  readonly trees?: LiveTrees | undefined;
}

interface StillWork extends Pick<DirectorySaverOptions, 'clones' | 'cleaned' | 'stillSinceMs'> {
  /** When the data was let go though not all was read, in milliseconds since 1970. */
  readonly cutAtMs?: (() => number | undefined) | undefined;
  /** True when it is made still once more should that happen. */
  readonly mayRepeat: boolean;
}

interface SharedBySaves extends SaveSessionOptions {
  readonly scheduler: SaveScheduler;
}

interface Known {
  readonly parents: KnownTrees | undefined;
  readonly parentTreeId: string | undefined;
}

/** The data of one snapshot on its way into the repository: gone through in use, perhaps, then still, then the rest. */
export class DataSave {
  readonly tree: TreeToSave;
  readonly parts: readonly ByteString[];
  readonly names: UserNames = readUserNames();
  /** Of the pass that the snapshot is made of. */
  tally: SaveTally;
  /** What saving it has added to the repository. */
  readonly stored: StoredCount = { addedBytes: 0, storedBytes: 0 };
  readonly #context: SaveContext;
  readonly #shared: SharedBySaves;
  readonly #scheduler: SaveScheduler;
  /** Where it is gone through in use. */
  #changes: FileChanges | undefined;
  #tries = 0;
  /** Of each pass. */
  readonly #notKept: NotKeptCounter[] = [];
  #known: Promise<Known> | undefined;
  #live: LiveSave | undefined;
  #pending: Pending | undefined;

  constructor(context: SaveContext, tree: TreeToSave, shared: SharedBySaves) {
    this.#context = context;
    this.tree = tree;
    this.#shared = shared;
    this.#scheduler = shared.scheduler;
    this.parts = dataParts(tree.volume);
    this.tally = this.#newTally();
  }

  /** What had changed since the data was gone through in use. */
  get inFlight(): InFlight | undefined {
    const { late, read } = this.tally;
    const more = { ...(this.#tries > 1 && { tries: this.#tries }), ...(late > 0 && { late }) };
    if (this.#live === undefined) return late > 0 ? { passes: 0, ...read, ...more } : undefined;
    return { passes: this.#live.passes, ...read, ...more };
  }

  /** What was not saved as it is, in the data and on the way to it. */
  get problems(): SaveProblem[] {
    const seen = this.tally.problems.map((problem) => ({ ...problem, path: toPrintable(problem.path) }));
    return [...seen, ...(this.tree.lost ?? [])];
  }

  /** What of the things that were read is in no snapshot. */
  get notKept(): NotKept[] {
    return NotKeptCounter.list(this.#notKept);
  }

  /** How long the last pass over the data in use took; 0 where there was none. */
  get lastPassMs(): number {
    return this.#live?.lastPassMs ?? 0;
  }

  /** Finds what is known of the data from before. */
  async prepare(): Promise<void> {
    this.#known ??= this.#findKnown();
    await this.#known;
  }

  /** So that nobody stands still for what can be at hand before. */
  bringToHand(): void {
    this.#live?.trees.openLarge();
  }

  /** So that nobody stands still while the disk works. */
  async cleanPages(cleaned: CleanedFilesystems): Promise<void> {
    const { source } = this.tree;
    if (source.kind === 'directory') await cleaned.clean(source.root);
  }

  /** Of files that were read as they changed: they may change again until they are still. */
  async cloneEarly(early: EarlyClones, signal: AbortSignal | undefined): Promise<void> {
    const { source } = this.tree;
    if (source.kind !== 'directory' || this.#live === undefined) return;
    await early.add(source.root, this.#live.proofs.keys(), signal);
  }

  /** Goes on from what was seen of it before, by a pass that was to be still as well. */
  async goThroughLive(fitsMs: number): Promise<void> {
    const { source } = this.tree;
    if (source.kind !== 'directory') return;
    this.#changes ??= new FileChanges(this.tree.parent !== undefined);
    const { parents, parentTreeId } = await (this.#known ??= this.#findKnown());
    this.#live = await this.measured(() =>
      saveLive({
        ...this.#saverOptions(),
        root: source.root,
        parents,
        parentTreeId,
        tally: () => this.#newTally(),
        now: Date.now,
        fitsMs,
        before: this.#live,
      }),
    );
  }

  /** Returns when the source need not be as it is any more. `released` settles when it may change. */
  async saveStill({ clones, cleaned, stillSinceMs, cutAtMs, mayRepeat }: StillWork): Promise<void> {
    const { source, isExcluded } = this.tree;
    const known = await (this.#known ??= this.#findKnown());
    this.#tries++;
    this.tally = this.#newTally(cutAtMs);
    if (source.kind === 'entries') {
      const { entries, readTimes } = source;
      const { polynomial } = this.#context;
      const { tally } = this;
      const saver = new StreamSaver({
        ...known,
        scheduler: this.#scheduler,
        tally,
        polynomial,
        isExcluded,
        readTimes,
      });
      const { dataTree, dataNode } = await this.measured(() => saver.save(entries));
      this.#pending = { dataTree: Promise.resolve(dataTree), dataNode };
      return;
    }
    const { trees: parents, treeId } = this.#live ?? { trees: known.parents, treeId: known.parentTreeId };
    const { tally } = this;
    const proofs = this.#live?.proofs;
    const trees = mayRepeat && this.#live ? new LiveTrees(Date.now(), this.#live.trees) : undefined;
    const onNewTree = trees && ((id: string, text: Uint8Array): void => trees.keepFresh(id, text));
    const still = { tally, clones, cleaned, stillSinceMs, onNewTree };
    const saver = new DirectorySaver({ ...this.#saverOptions(), ...still, parents, proofs });
    const dataNode = directoryNode(source.root, this.names);
    const { done } = await this.measured(() => saver.begin(source.root, treeId));
    this.#pending = { dataTree: done, dataNode, trees };
  }

  /** What was to be still and was not for long enough becomes one more pass over the data in use. */
  async takeForLive(): Promise<void> {
    const live = this.#live;
    const { dataTree, trees } = this.#pending ?? {};
    if (live === undefined || dataTree === undefined || trees === undefined) return;
    const treeId = await this.measured(() => dataTree);
    trees.packFresh();
    this.#pending = undefined;
    this.#live = { ...live, treeId, trees, passes: live.passes + 1 };
  }

  async finish(): Promise<SavedData> {
    if (this.#pending === undefined) throw new AppError('failed', 'The data was not read');
    const { dataTree, dataNode } = this.#pending;
    return { dataTree: await this.measured(() => dataTree), dataNode };
  }

  /** What it stores counts for this snapshot, though clones of several are read at the same time. */
  async measured<T>(work: () => Promise<T>): Promise<T> {
    return await this.#scheduler.countingInto(this.stored, work);
  }

  #newTally(cutAtMs?: () => number | undefined): SaveTally {
    const { parent } = this.tree;
    const expected = parent?.summary;
    const tally = new SaveTally(
      this.#shared.onProgress,
      expected && { files: expected.files, bytes: expected.bytes },
      {
        changes: this.#changes,
        cutAtMs,
      },
    );
    this.#notKept.push(tally.notKept);
    return tally;
  }

  #saverOptions(): Pick<DirectorySaverOptions, 'scheduler' | 'names' | 'only' | 'isExcluded' | 'onlyLooks'> {
    const { source, isExcluded } = this.tree;
    const only = source.kind === 'directory' ? source.only : undefined;
    const { scheduler, dryRun: onlyLooks } = this.#shared;
    return { scheduler, names: this.names, only, isExcluded, onlyLooks };
  }

  async #findKnown(): Promise<Known> {
    const { parent } = this.tree;
    if (parent === undefined) return { parents: undefined, parentTreeId: undefined };
    const { codec, index } = this.#context;
    const reader = new BlobReader(codec, index);
    const parents = new ParentTrees(reader, index, Date.parse(parent.time));
    return { parents, parentTreeId: await this.#findParentTree(reader, parent.id) };
  }

  /** The tree of the data in the parent snapshot. A parent that is damaged or gone is no parent, and no error. */
  async #findParentTree(reader: BlobReader, id: string): Promise<string | undefined> {
    try {
      const json = await loadSnapshot(this.#context.codec, id);
      const node = await findNode(reader, json.tree, this.parts);
      return node?.subtree;
    } catch (error) {
      if (isAppError(error, 'integrity') || isAppError(error, 'not-found')) return undefined;
      throw error;
    }
  }
}
