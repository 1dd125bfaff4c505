import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { Breather } from '../../lib/breathe.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { knownError } from '../../lib/known-error.ts';
import { listXattrs } from '../../lib/posix.ts';
import type { UserNames } from '../../lib/user-names.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import type { ExtendedAttribute } from '../../model/entry.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import { encodeTree } from '../format/encode-tree.ts';
import { encodeNode, encodeNodeHead, type NodeText, type TreeNode } from '../format/node.ts';
import { type CleanedFilesystems, cleanPages } from './clean-pages.ts';
import { type LargeFile, saveLargeFile } from './large-file.ts';
import { nodeOfStat, typeOfStat } from './node-of-stat.ts';
import { idsIn, type ParentDirectory } from './parent-directory.ts';
import type { KnownTrees } from './parent-trees.ts';
import type { ProofBook } from './piece-proof.ts';
import { readProblem } from './read-problem.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import { wholeFileBytes } from './save-task.ts';
import { StillClones } from './still-clones.ts';
import type { FileFate, SaveTally } from './save-tally.ts';

export interface DirectorySaverOptions {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
  readonly parents: KnownTrees | undefined;
  readonly names: UserNames;
  readonly isExcluded: ((path: ByteString, isDirectory: boolean) => boolean) | undefined;
  /** Told each directory's tree with its text. */
  readonly onTree?: ((id: string, text: Uint8Array) => void) | undefined;
  /** Proofs of large files, from the pass before and for the next one. */
  readonly proofs?: ProofBook | undefined;
  /** What was written down just before need not be written down again. */
  readonly cleaned?: CleanedFilesystems | undefined;
  /** Large files are cloned at once, and read when `released` settles. Where that cannot be done they are read at once. */
  readonly clones?: { readonly released: Promise<void> } | undefined;
}

/** A directory under way: what it was walked from, and where its tree's nodes will be. */
interface Place {
  /** Open until all that is in it has been read: whoever swaps a directory for a link meanwhile leads nobody away. */
  readonly handle: DirectoryHandle;
  /** Where it is on disk: a quicker way to look at what is in it, where it does not matter if we are led astray. */
  readonly directory: ByteString;
  /** Relative to the root of the backup. */
  readonly path: ByteString;
  readonly parent: ParentDirectory | undefined;
}

/** A node's text, undefined for what has none, or a promise of it. */
type Slot = NodeText | undefined | Promise<NodeText | undefined>;

/** Above it, the path of something in it may be longer than the kernel takes. */
const longPathBytes = 3500;
const batchFiles = 64;
const batchBytes = 4 * 1024 * 1024;
/** To read less takes no longer than to make a file for it. */
const clonedFromBytes = 256 * 1024;

/**
 * Walks directories in order, in this thread, and leaves the reading to the workers. The walk runs ahead of them as
 * far as the scheduler has room; trees are put together when all their nodes are known.
 */
export class DirectorySaver {
  readonly #options: DirectorySaverOptions;
  readonly #breather = new Breather('saving', undefined);
  /** The file systems whose pages were written down. */
  readonly #cleanDevices = new Set<bigint>();

  /** What is read from the files themselves, and not from clones of them. */
  readonly #direct: Promise<unknown>[] = [];
  readonly #clones = new StillClones();

  constructor(options: DirectorySaverOptions) {
    this.#options = options;
  }

  /** The id of the directory's tree. */
  async save(directory: ByteString, parentTreeId: string | undefined): Promise<string> {
    const { done } = await this.begin(directory, parentTreeId);
    return await done;
  }

  /** Returns when nothing of the directory has to stay as it is any more: the rest is read from clones. */
  async begin(directory: ByteString, parentTreeId: string | undefined): Promise<{ done: Promise<string> }> {
    using clones = this.#clones;
    const handle = DirectoryHandle.open(directory);
    const { done } = await this.#walk({ handle, directory, path: '' }, parentTreeId);
    if (clones.cloneAll(directory) === 0) await Promise.allSettled([done]);
    // A file that has grown too large for its batch is read after it.
    for (let read = -1; read < this.#direct.length;) {
      read = this.#direct.length;
      await Promise.allSettled(this.#direct);
    }
    return { done };
  }

  /** Once for each file system that the walk comes to, before anything on it is read or trusted. */
  async #cleanPagesOf(handle: DirectoryHandle): Promise<void> {
    const { dev } = handle.stat();
    if (this.#cleanDevices.has(dev)) return;
    this.#cleanDevices.add(dev);
    if (this.#options.cleaned?.isRecent(dev) === true) return;
    await cleanPages(handle.at('.'));
  }

  /** Returns when the walk is over; `done` follows when the workers are, and closes the handle. */
  async #walk(
    where: Omit<Place, 'parent'>,
    parentTreeId: string | undefined,
  ): Promise<{ done: Promise<string> }> {
    try {
      const parent = await this.#options.parents?.load(parentTreeId);
      await this.#cleanPagesOf(where.handle);
      const { done } = await this.#walkEntries({ ...where, parent });
      const closed = done.finally(() => where.handle[Symbol.dispose]());
      // Awaited by the directory above; a failure before that is no unhandled one.
      closed.catch(() => undefined);
      return { done: closed };
    } catch (error) {
      where.handle[Symbol.dispose]();
      throw error;
    }
  }

  async #walkEntries(place: Place): Promise<{ done: Promise<string> }> {
    const slots: Slot[] = [];
    const batch = new Batch();
    for (const name of this.#list(place)) {
      // Where nothing has changed nobody is waited for, and signals and timers would wait for the end.
      if (this.#breather.isDue()) await this.#breathe();
      const below = childPath(place, name);
      const stat = this.#stat(place, name, below);
      if (!stat || this.#options.isExcluded?.(below, stat.isDirectory())) continue;
      if (stat.isDirectory()) slots.push((await this.#walkChild(place, name, stat)).slot);
      else if (!stat.isFile()) slots.push(this.#saveOther(place, name, stat));
      else if (!this.#reuse(place, name, stat, slots))
        await this.#saveFile(place, { name, stat, slots, batch });
    }
    if (batch.count > 0) await this.#sendBatch(place, batch, slots);
    return { done: this.#finish(place, slots) };
  }

  async #breathe(): Promise<void> {
    await this.#breather.breathe();
    await this.#options.scheduler.room();
  }

  #list({ handle, directory, path }: Place): ByteString[] {
    try {
      return readdirSync(toPath(handle.at('.')), { encoding: 'latin1' }).sort();
    } catch (error) {
      // Without its root a backup is one of nothing, and no part of one.
      if (path === '') throw knownError(error, `Cannot read "${toPrintable(directory)}"`);
      this.#problem(readProblem(path, error));
      return [];
    }
  }

  #stat({ handle, directory }: Place, name: ByteString, path: ByteString): BigIntStats | undefined {
    try {
      const full = directory.length < longPathBytes ? `${directory}/${name}` : handle.at(name);
      return lstatSync(toPath(full), { bigint: true });
    } catch (error) {
      if (!this.#options.isExcluded?.(path, false)) this.#problem(readProblem(path, error));
      return undefined;
    }
  }

  /** Returns when the walk below it is over. The slot is wrapped: a promise that is returned as it is would be waited for. */
  async #walkChild(place: Place, name: ByteString, stat: BigIntStats): Promise<{ readonly slot: Slot }> {
    const { scheduler, tally, names } = this.#options;
    await scheduler.room();
    const path = childPath(place, name);
    const handle = this.#openChild(place, name, path);
    if (!handle) return { slot: undefined };
    const xattrs = this.#xattrs(place, name, path);
    const parentTreeId = place.parent?.subtreeOf(name);
    const { done } = await this.#walk(
      { handle, directory: `${place.directory}/${name}`, path },
      parentTreeId,
    );
    tally.countDirectory();
    const slot = done.then((subtree) => encodeNode(nodeOfStat({ name, stat, names, xattrs, subtree })));
    slot.catch(() => undefined);
    return { slot };
  }

  #openChild(place: Place, name: ByteString, path: ByteString): DirectoryHandle | undefined {
    try {
      return place.handle.openChild(name);
    } catch (error) {
      this.#problem(readProblem(path, error));
      return undefined;
    }
  }

  /** Puts the node of an unchanged file in place. False when the file must be read. */
  #reuse(place: Place, name: ByteString, stat: BigIntStats, slots: Slot[]): boolean {
    const { parents, names, tally } = this.#options;
    if (!place.parent || !parents?.trusts(stat.ctimeNs)) return false;
    const node = reusableNode(place.parent, nodeOfStat({ name, stat, names }), parents);
    if (node === undefined) return false;
    slots.push(node);
    tally.countFile('unmodified', Number(stat.size), place.path);
    return true;
  }

  async #saveFile(
    place: Place,
    file: {
      readonly name: ByteString;
      readonly stat: BigIntStats;
      readonly slots: Slot[];
      readonly batch: Batch;
    },
  ): Promise<void> {
    const { name, stat, slots, batch } = file;
    if (this.#options.clones && stat.size >= clonedFromBytes) {
      const slot = this.#saveClone(place, name);
      if (slot !== undefined) return void slots.push(slot);
    }
    if (stat.size > wholeFileBytes) {
      await this.#options.scheduler.room();
      slots.push(this.#saveLarge(place, name));
      return;
    }
    // They are proofs of what the pass before saved of it, and that is something else from now on.
    this.#options.proofs?.delete(childPath(place, name));
    batch.add(name, Number(stat.size), slots.push(undefined) - 1);
    if (batch.count >= batchFiles || batch.bytes >= batchBytes) await this.#sendBatch(place, batch, slots);
  }

  async #sendBatch(place: Place, batch: Batch, slots: Slot[]): Promise<void> {
    const { scheduler, tally } = this.#options;
    const { names, slotNumbers } = batch.take();
    await scheduler.room();
    const outcomes = scheduler.run({ kind: 'files', directory: place.handle.at('.'), names });
    this.#readsDirectly(outcomes);
    names.forEach((name, i) => {
      const slot = outcomes.then(({ files }) => {
        const outcome = files[i];
        if (!outcome || outcome.tooLarge) return this.#saveLarge(place, name);
        if (outcome.problem) this.#problem({ ...outcome.problem, path: childPath(place, name) });
        if (outcome.node !== undefined)
          tally.countFile(fateOf(place, name), outcome.size, childPath(place, name));
        return outcome.node;
      });
      slot.catch(() => undefined);
      slots[slotNumbers[i] ?? 0] = slot;
    });
  }

  #saveLarge(place: Place, name: ByteString): Promise<NodeText | undefined> {
    const slot = saveLargeFile(this.#largeFile(place, name));
    slot.catch(() => undefined);
    this.#readsDirectly(slot);
    return slot;
  }

  #largeFile(place: Place, name: ByteString): LargeFile {
    const { scheduler, tally, names } = this.#options;
    const path = childPath(place, name);
    const { proofs } = this.#options;
    return {
      scheduler,
      tally,
      names,
      fate: fateOf(place, name),
      name,
      full: place.handle.at(name),
      path,
      proofs,
      knownContent: () => place.parent?.contentOf(name),
    };
  }

  /** Undefined when the file itself has to be read. */
  #saveClone(place: Place, name: ByteString): Promise<NodeText | undefined> | undefined {
    const { clones } = this.#options;
    const opened = clones && this.#clones.open(place.handle.at(name));
    const slot = opened?.then(async (clone) => {
      if (clone === undefined) return await this.#saveLarge(place, name);
      try {
        await clones?.released;
      } catch (error) {
        clone[Symbol.dispose]();
        throw error;
      }
      return await saveLargeFile({ ...this.#largeFile(place, name), clone });
    });
    slot?.catch(() => undefined);
    return slot;
  }

  #readsDirectly(work: Promise<unknown>): void {
    if (this.#options.clones) this.#direct.push(work);
  }

  #saveOther(place: Place, name: ByteString, stat: BigIntStats): Slot {
    const { names, tally } = this.#options;
    const full = place.handle.at(name);
    const path = childPath(place, name);
    if (typeOfStat(stat) === 'irregular') {
      this.#problem({ path, reason: 'unreadable', message: 'has a type that cannot be saved' });
      return undefined;
    }
    try {
      const linkTarget = stat.isSymbolicLink()
        ? readlinkSync(toPath(full), { encoding: 'latin1' })
        : undefined;
      const parts = { name, stat, names, xattrs: listXattrs(full) };
      tally.countOther();
      return encodeNode(nodeOfStat(linkTarget === undefined ? parts : { ...parts, linkTarget }));
    } catch (error) {
      this.#problem(readProblem(path, error));
      return undefined;
    }
  }

  #xattrs({ handle }: Place, name: ByteString, path: ByteString): ExtendedAttribute[] {
    try {
      return listXattrs(handle.at(name));
    } catch (error) {
      this.#problem(readProblem(path, error));
      return [];
    }
  }

  async #finish({ parent }: Place, slots: readonly Slot[]): Promise<string> {
    const nodes: NodeText[] = [];
    for (const slot of slots) {
      const node = slot instanceof Promise ? await slot : slot;
      if (node !== undefined) nodes.push(node);
    }
    const { scheduler, onTree } = this.#options;
    const isKnown = parent?.isTreeOf(nodes) ?? false;
    if (isKnown && onTree === undefined) return parent?.treeId ?? '';
    const text = encodeTree(nodes);
    // A database of 20 GB has one of 40 MB: it is kept only where somebody asks for it.
    if (onTree === undefined) return await scheduler.saveTree(text, { giveAway: true });
    const id = isKnown ? (parent?.treeId ?? '') : await scheduler.saveTree(text);
    onTree(id, text);
    return id;
  }

  #problem(problem: SaveProblem): void {
    this.#options.tally.problems.push(problem);
  }
}

/** Small files of one directory that go to a worker together. */
class Batch {
  #names: ByteString[] = [];
  #slotNumbers: number[] = [];
  bytes = 0;

  get count(): number {
    return this.#names.length;
  }

  add(name: ByteString, sizeBytes: number, slotNumber: number): void {
    this.#names.push(name);
    this.#slotNumbers.push(slotNumber);
    this.bytes += sizeBytes;
  }

  take(): { names: ByteString[]; slotNumbers: number[] } {
    const taken = { names: this.#names, slotNumbers: this.#slotNumbers };
    this.#names = [];
    this.#slotNumbers = [];
    this.bytes = 0;
    return taken;
  }
}

/**
 * The text of an unchanged file's node, or undefined. Unchanged by size, times and inode: a change that keeps all of
 * these does not happen by writing. `fresh` is the node as it is now, without content.
 */
function reusableNode(parent: ParentDirectory, fresh: TreeNode, parents: KnownTrees): ByteString | undefined {
  const text = parent.textOf(fresh.name);
  const head = encodeNodeHead(fresh);
  if (text?.startsWith(`${head},"content":[`)) {
    return parents.hasBlobs(() => idsIn(text, head.length)) ? text : undefined;
  }
  const known = parent.node(fresh.name);
  if (!known || !isSame(known, fresh) || !parents.hasBlobs(() => known.content)) return undefined;
  const { xattrs, content, dataRuns } = known;
  return encodeNode({ ...fresh, xattrs, content, dataRuns });
}

function isSame(known: TreeNode, fresh: TreeNode): boolean {
  return (
    known.type === 'file' &&
    known.size === fresh.size &&
    known.mtimeNs === fresh.mtimeNs &&
    known.ctimeNs === fresh.ctimeNs &&
    known.inode === fresh.inode
  );
}

function fateOf({ parent }: Place, name: ByteString): FileFate {
  return parent?.has(name) ? 'changed' : 'new';
}

function childPath({ path }: Place, name: ByteString): ByteString {
  return path === '' ? name : `${path}/${name}`;
}
