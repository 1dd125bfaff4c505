import { awaitedLater } from '../../lib/awaited-later.ts';
import { constants, readdirSync, readlinkSync } from 'node:fs';
import { Breather } from '../../lib/breathe.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { knownError } from '../../lib/known-error.ts';
import { closeQuickly, type FileStat, openAt, statAt, statOpen } from '../../lib/posix-at.ts';
import { listXattrs } from '../../lib/posix.ts';
import { hasLocalClock } from '../../lib/filesystem-type.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import type { ExtendedAttribute } from '../../model/entry.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import { encodeTree } from '../format/encode-tree.ts';
import { encodeNode, type NodeText } from '../format/node.ts';
import { type CleanedFilesystems, cleanPages } from './clean-pages.ts';
import { FileBatch } from './file-batch.ts';
import { FileSaver, type FileSaverOptions } from './file-saver.ts';
import { nodeOfStat, typeOfStat } from './node-of-stat.ts';
import { flagsNotKept } from './not-kept.ts';
import { childPath, type Place, type Slot } from './place.ts';
import { readProblem } from './read-problem.ts';

export interface DirectorySaverOptions extends FileSaverOptions {
  /** Saves only this name of the root. */
  readonly only?: ByteString | undefined;
  readonly isExcluded: ((path: ByteString, isDirectory: boolean) => boolean) | undefined;
  /** Called with each directory's tree and its text. */
  readonly onTree?: ((id: string, text: Uint8Array) => void) | undefined;
  /** Since when the data must have been still, in milliseconds since 1970; undefined when it need not be. */
  readonly stillSinceMs?: number | undefined;
  /** Called only for trees that differ from the known ones. */
  readonly onNewTree?: ((id: string, text: Uint8Array) => void) | undefined;
  /** File systems whose pages were just written to disk, which need not be done again. */
  readonly cleaned?: CleanedFilesystems | undefined;
}

/** File times are as exact as the kernel's ticks. */
const clockGrainMs = 20;

/**
 * Walks directories in order, in this thread, and leaves the reading to the workers. The walk runs ahead of
 * them as far as the scheduler has room; a tree is assembled when all its nodes are known.
 */
export class DirectorySaver {
  readonly #options: DirectorySaverOptions;
  readonly #breather = new Breather('saving', undefined);
  /** The file systems whose pages were written to disk. */
  readonly #cleanDevices = new Set<bigint>();
  readonly #files: FileSaver;
  /** Time spent waiting for pages to be written to disk, in milliseconds. */
  cleanedMs = 0;

  constructor(options: DirectorySaverOptions) {
    this.#options = options;
    this.#files = new FileSaver(options);
  }

  /** Returns the id of the directory's tree. */
  async save(directory: ByteString, parentTreeId: string | undefined): Promise<string> {
    const { done } = await this.begin(directory, parentTreeId);
    return await done;
  }

  /** Returns when the directory may change again: the rest is read from clones. */
  async begin(directory: ByteString, parentTreeId: string | undefined): Promise<{ done: Promise<string> }> {
    using files = this.#files;
    const handle = DirectoryHandle.open(directory);
    using root = handle.openChild('.');
    this.#noteWritten({ handle }, handle.stat(), '');
    const { done } = await this.#walk({ handle, directory, path: '' }, parentTreeId);
    await files.letGo(root.at('.'), done);
    return { done };
  }

  /** Runs once for each file system that the walk reaches, before anything on it is read or trusted. */
  async #cleanPagesOf(handle: DirectoryHandle): Promise<void> {
    const { dev } = handle.stat();
    if (this.#cleanDevices.has(dev)) return;
    this.#cleanDevices.add(dev);
    if (this.#options.cleaned?.isRecent(dev) === true) return;
    const began = performance.now();
    await cleanPages(handle.at('.'));
    this.cleanedMs += performance.now() - began;
  }

  /**
   * Returns when the walk is over; `done` resolves when the workers have finished too, and closes the handle.
   */
  async #walk(
    where: Omit<Place, 'parent'>,
    parentTreeId: string | undefined,
  ): Promise<{ done: Promise<string> }> {
    try {
      const { parents, scheduler } = this.#options;
      const parent = await (parents && scheduler.counted(() => parents.load(parentTreeId)));
      await this.#cleanPagesOf(where.handle);
      this.#options.tally.notKept.add(flagsOfDirectory(where.handle), where.path);
      const { done } = await this.#walkEntries({ ...where, parent });
      const closed = done.finally(() => where.handle[Symbol.dispose]());
      awaitedLater(closed);
      return { done: closed };
    } catch (error) {
      where.handle[Symbol.dispose]();
      throw error;
    }
  }

  async #walkEntries(place: Place): Promise<{ done: Promise<string> }> {
    const slots: Slot[] = [];
    const batch = new FileBatch();
    const names = this.#list(place);
    if (this.#options.tally.isLate) this.#noteSeen(place.handle.stat());
    for (const name of names) {
      // When nothing has changed the walk never awaits, which would starve signals and timers.
      if (this.#breather.isDue()) await this.#breathe();
      const below = childPath(place, name);
      const stat = this.#stat(place, name, below);
      if (!stat || this.#options.isExcluded?.(below, stat.isDirectory())) continue;
      this.#noteWritten(place, stat, below);
      if (!stat.isFile()) this.#noteSeen(stat);
      if (stat.isDirectory()) slots.push((await this.#walkChild(place, name)).slot);
      else if (!stat.isFile()) slots.push(this.#saveOther(place, name, stat));
      else if (!this.#files.reuse(place, name, stat, slots))
        await this.#files.save(place, { name, stat, slots, batch });
    }
    if (!batch.isEmpty) await this.#files.send(place, batch, slots);
    return { done: this.#finish(place, slots) };
  }

  /**
   * A change time after `stillSinceMs` means that something was written although the data had to be still.
   * Only times of this machine's clock count: one in the future comes from another setting of that clock.
   */
  #noteWritten({ handle }: Pick<Place, 'handle'>, { ctimeNs }: { ctimeNs: bigint }, path: ByteString): void {
    const { stillSinceMs, tally } = this.#options;
    if (stillSinceMs === undefined || tally.written !== undefined) return;
    if (ctimeNs <= BigInt(stillSinceMs + clockGrainMs) * 1_000_000n) return;
    if (ctimeNs > BigInt(Date.now() + clockGrainMs) * 1_000_000n || !hasLocalClock(handle.at('.'))) return;
    tally.written = path;
  }

  /** For files, the reader notes this. */
  #noteSeen({ ctimeNs }: Pick<FileStat, 'ctimeNs'>): void {
    this.#options.tally.noteSeen(ctimeNs);
  }

  async #breathe(): Promise<void> {
    await this.#breather.breathe();
    await this.#options.scheduler.room();
  }

  #list({ handle, directory, path }: Place): ByteString[] {
    const { only } = this.#options;
    if (path === '' && only !== undefined) return [only];
    try {
      return readdirSync(toPath(handle.at('.')), { encoding: 'latin1' }).sort();
    } catch (error) {
      // A backup without its root would be empty, not partial.
      if (path === '') throw knownError(error, `Cannot read "${toPrintable(directory)}"`);
      this.#problem(readProblem(path, error));
      return [];
    }
  }

  #stat({ handle }: Place, name: ByteString, path: ByteString): FileStat | undefined {
    try {
      return statAt(handle.fd, name);
    } catch (error) {
      if (!this.#options.isExcluded?.(path, false)) this.#problem(readProblem(path, error));
      return undefined;
    }
  }

  /**
   * Returns when the walk below is over. The slot is wrapped: returned bare, its promise would be awaited.
   */
  async #walkChild(place: Place, name: ByteString): Promise<{ readonly slot: Slot }> {
    const { scheduler, tally, names } = this.#options;
    await scheduler.room();
    const path = childPath(place, name);
    const handle = this.#openChild(place, name, path);
    if (!handle) return { slot: undefined };
    // Stat the open directory: its name may lead to another one by now.
    const stat = statOpen(handle.fd);
    const xattrs = this.#xattrs(place, name, path);
    const parentTreeId = place.parent?.subtreeOf(name);
    const { done } = await this.#walk({ handle, directory: place.directory, path }, parentTreeId);
    tally.countDirectory();
    const slot = done.then((subtree) => encodeNode(nodeOfStat({ name, stat, names, xattrs, subtree })));
    awaitedLater(slot);
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

  #saveOther(place: Place, name: ByteString, stat: FileStat): Slot {
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
    const { scheduler, onNewTree } = this.#options;
    const isKnown = parent?.isTreeOf(nodes) ?? false;
    const onTree = isKnown ? this.#options.onTree : (this.#options.onTree ?? onNewTree);
    if (isKnown && onTree === undefined) return parent?.treeId ?? '';
    const text = encodeTree(nodes);
    // For a database of 20 GB this text has 40 MB, so it is kept only where the caller asked for it.
    if (onTree === undefined) return await scheduler.saveTree(text, { giveAway: true });
    const id = isKnown ? (parent?.treeId ?? '') : await scheduler.saveTree(text);
    onTree(id, text);
    return id;
  }

  #problem(problem: SaveProblem): void {
    this.#options.tally.problems.push(problem);
  }
}

/** A directory that cannot be opened cannot be listed either, and that is reported. */
function flagsOfDirectory(handle: DirectoryHandle): number {
  let fd: number;
  try {
    fd = openAt(handle.fd, '.', constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return 0;
  }
  const flags = flagsNotKept(fd);
  closeQuickly(fd);
  return flags;
}
