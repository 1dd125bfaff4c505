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
  /** Known trees for the next pass, when there may be one. */
  readonly trees?: LiveTrees | undefined;
}

interface StillWork extends Pick<DirectorySaverOptions, 'clones' | 'cleaned' | 'stillSinceMs'> {
  /** When the containers were released before everything was read, in milliseconds since 1970. */
  readonly cutAtMs?: (() => number | undefined) | undefined;
  /** True when the data will be made still again in that case. */
  readonly mayRepeat: boolean;
}

interface SharedBySaves extends SaveSessionOptions {
  readonly scheduler: SaveScheduler;
}

interface Known {
  readonly parents: KnownTrees | undefined;
  readonly parentTreeId: string | undefined;
}

/**
 * The data of one snapshot on its way into the repository: optional live passes, then the still pass, then
 * the rest.
 */
export class DataSave {
  readonly tree: TreeToSave;
  readonly parts: readonly ByteString[];
  readonly names: UserNames = readUserNames();
  /** The tally of the pass that becomes the snapshot. */
  tally: SaveTally;
  /** What saving this data has added to the repository. */
  readonly stored: StoredCount = { addedBytes: 0, storedBytes: 0 };
  readonly #context: SaveContext;
  readonly #shared: SharedBySaves;
  readonly #scheduler: SaveScheduler;
  /** Records changes during live passes. */
  #changes: FileChanges | undefined;
  #tries = 0;
  /** One counter for each pass. */
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

  /** What changed after the live pass. */
  get inFlight(): InFlight | undefined {
    const { late, read } = this.tally;
    const more = { ...(this.#tries > 1 && { tries: this.#tries }), ...(late > 0 && { late }) };
    if (this.#live === undefined) return late > 0 ? { passes: 0, ...read, ...more } : undefined;
    return { passes: this.#live.passes, ...read, ...more };
  }

  /** What could not be saved exactly, in the data and on the way to it. */
  get problems(): SaveProblem[] {
    const seen = this.tally.problems.map((problem) => ({ ...problem, path: toPrintable(problem.path) }));
    return [...seen, ...(this.tree.lost ?? [])];
  }

  /** What the snapshot lacks of the entries that were read. */
  get notKept(): NotKept[] {
    return NotKeptCounter.list(this.#notKept);
  }

  /** Duration of the last live pass in milliseconds; 0 when there was none. */
  get lastPassMs(): number {
    return this.#live?.lastPassMs ?? 0;
  }

  /** Finds what earlier backups know of the data. */
  async prepare(): Promise<void> {
    this.#known ??= this.#findKnown();
    await this.#known;
  }

  /** Loads what can be loaded in advance, so that containers do not stand still for it. */
  bringToHand(): void {
    this.#live?.trees.openLarge();
  }

  /** Writes pages to disk in advance, so that containers do not stand still for it. */
  async cleanPages(cleaned: CleanedFilesystems): Promise<void> {
    const { source } = this.tree;
    if (source.kind === 'directory') await cleaned.clean(source.root);
  }

  /** Clones files that changed while they were read: they may change again before the data is still. */
  async cloneEarly(early: EarlyClones, signal: AbortSignal | undefined): Promise<void> {
    const { source } = this.tree;
    if (source.kind !== 'directory' || this.#live === undefined) return;
    await early.add(source.root, this.#live.proofs.keys(), signal);
  }

  /** Continues from an earlier pass, including one that was meant to be still. */
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

  /** Returns when the source may change. `released` resolves when it actually may. */
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

  /** Turns a pass that was not still for long enough into another live pass. */
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

  /** Counts what the work stores for this snapshot, even when clones of several are read at once. */
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

  /**
   * The tree of the data in the parent snapshot. A damaged or missing parent counts as none, and is no error.
   */
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
