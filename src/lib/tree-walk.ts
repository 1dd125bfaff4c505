import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { Breather } from './breathe.ts';
import { DirectoryHandle, shownPath } from './directory-handle.ts';
import { detailsAt, type EntryPlace, plainEntryAt } from './entry-at.ts';
import { openRegularFile, readContent } from './file-content.ts';
import { mountedProblem, type ProblemReporter, readProblem, reasonText } from './tree-problem.ts';

export interface WalkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for what vanished, changed or cannot be read: it is left out, and the walk continues. */
  readonly onProblem?: ProblemReporter | undefined;
  /** Also enters directories on which another file system is mounted; otherwise they are yielded as empty. */
  readonly crossFilesystems?: boolean | undefined;
  /** Omits extended attributes and sparse maps, which take most of the time. */
  readonly statOnly?: boolean | undefined;
  /** Leaves out a path and everything below it. */
  readonly skip?: ((path: ByteString) => boolean) | undefined;
  /** Walks only this name of the root, and everything below it. */
  readonly only?: ByteString | undefined;
  /** Walks only the root's own entries, not what is below them. */
  readonly isFlat?: boolean | undefined;
}

/** One step of a walk. Its functions work until the next step is requested. */
export interface WalkedEntry {
  /**
   * Its path is relative to the root of the walk, which itself is ''. A hard link has the size, but no
   * attributes or runs.
   */
  readonly entry: Entry;
  /** Disk usage in bytes. */
  readonly allocatedBytes: number;
  readonly inode: bigint;
  /** The last change, including metadata. Nanoseconds since 1970. */
  readonly changedNs: bigint;
  /** The entry with the attributes and runs that `statOnly` omits. Throws a system error. */
  whole(): Entry;
  /**
   * A file's bytes, or those of its data runs. Throws a system error when it cannot be opened or read; a
   * change during the read is reported as a problem.
   */
  open(): AsyncGenerator<Uint8Array, void, undefined>;
  /** The file, open for reading; the caller closes it. Throws a system error. */
  openFile(): number;
}

/**
 * Walks a directory depth first, names in byte order, each directory before its entries. Never follows a
 * symbolic link below the root, not even one created during the walk. Throws only when the root itself cannot
 * be read (`not-found`, `denied`), or `cancelled`.
 */
export async function* walkTree(
  root: ByteString,
  options: WalkOptions = {},
): AsyncGenerator<WalkedEntry, void, undefined> {
  using walk = new Walk(root, options);
  const breather = new Breather(`reading "${shownPath(root)}"`, options.signal);
  breather.check();
  yield walk.enterRoot();
  for (;;) {
    if (breather.isDue()) await breather.breathe();
    const step = walk.next();
    if (step === 'end') return;
    if (step === undefined) continue;
    yield step;
    if (step.entry.type === 'dir' && options.isFlat !== true) walk.enter(step);
  }
}

/** A directory being walked. Far up, its handle is closed, and reopened from below on the way back. */
interface Frame {
  readonly path: ByteString;
  readonly names: readonly ByteString[];
  readonly stat: BigIntStats;
  handle: DirectoryHandle | undefined;
  nextName: number;
}

interface Step extends WalkedEntry {
  readonly name: ByteString;
  readonly stat: BigIntStats;
}

const maxOpenHandles = 128;

class Walk implements Disposable {
  readonly #root: ByteString;
  readonly #options: WalkOptions;
  readonly #frames: Frame[] = [];
  readonly #links = new Map<string, { readonly path: ByteString; left: bigint }>();

  constructor(root: ByteString, options: WalkOptions) {
    this.#root = root;
    this.#options = options;
  }

  [Symbol.dispose](): void {
    for (const frame of this.#frames) frame.handle?.[Symbol.dispose]();
  }

  enterRoot(): WalkedEntry {
    try {
      const handle = DirectoryHandle.open(this.#root);
      const stat = handle.stat();
      const frame: Frame = { path: '', names: [], stat, handle, nextName: 0 };
      this.#frames.push(frame);
      const { only } = this.#options;
      const names = only === undefined ? namesIn(handle) : [only];
      this.#frames[0] = { ...frame, names };
      return this.#step(handle, { name: '.', path: '', stat });
    } catch (error) {
      throw rootError(this.#root, error);
    }
  }

  /** Undefined when the next name yielded nothing. */
  next(): Step | 'end' | undefined {
    const frame = this.#frames.at(-1);
    if (frame === undefined) return 'end';
    const name = frame.names[frame.nextName++];
    if (name === undefined || frame.handle === undefined) {
      this.#leave(frame);
      return undefined;
    }
    const path = frame.path === '' ? name : `${frame.path}/${name}`;
    if (this.#options.skip?.(path) === true) return undefined;
    try {
      const stat = lstatSync(toPath(frame.handle.at(name)), { bigint: true });
      return this.#step(frame.handle, { name, path, stat });
    } catch (error) {
      this.#options.onProblem?.(readProblem(path, error));
      return undefined;
    }
  }

  /** Enters the directory of a step; reports it when that is no longer possible. */
  enter(step: WalkedEntry): void {
    const { name, stat, entry } = step as Step;
    const parent = this.#frames.at(-1);
    const isElsewhere = stat.dev !== this.#frames[0]?.stat.dev && this.#options.crossFilesystems !== true;
    if (parent?.handle === undefined) return;
    if (isElsewhere) return this.#reportMount(entry.path);
    let handle: DirectoryHandle | undefined;
    try {
      handle = parent.handle.openChild(name);
      if (!isSame(handle.stat(), stat)) throw Object.assign(new Error('replaced'), { code: 'ENOTDIR' });
      const names = namesIn(handle);
      this.#frames.push({ path: entry.path, names, stat, handle, nextName: 0 });
    } catch (error) {
      handle?.[Symbol.dispose]();
      this.#options.onProblem?.(readProblem(entry.path, error));
      return;
    }
    const far = this.#frames[this.#frames.length - maxOpenHandles];
    if (far === undefined || far.path === '') return;
    far.handle?.[Symbol.dispose]();
    far.handle = undefined;
  }

  #reportMount(entryPath: ByteString): void {
    this.#options.onProblem?.(mountedProblem(entryPath));
  }

  #leave(frame: Frame): void {
    this.#frames.pop();
    const parent = this.#frames.at(-1);
    if (parent !== undefined && parent.handle === undefined) this.#reopen(parent, frame);
    frame.handle?.[Symbol.dispose]();
  }

  #reopen(parent: Frame, child: Frame): void {
    const handle = child.handle?.openChild('..');
    if (handle !== undefined && isSame(handle.stat(), parent.stat)) {
      parent.handle = handle;
      return;
    }
    handle?.[Symbol.dispose]();
    const path = toPrintable(parent.path);
    const message = `"${path}" was moved while it was read: part of it is left out`;
    this.#options.onProblem?.({ path, reason: 'changed', message });
  }

  #step(
    handle: DirectoryHandle,
    { name, path, stat }: { name: ByteString; path: ByteString; stat: BigIntStats },
  ): Step {
    const at = handle.at(name);
    const place = { at, path, stat };
    const plain = this.#plainEntry(place);
    const whole = (): Entry => (plain.hardLinkTo === undefined ? detailsAt(plain, place) : plain);
    const { signal, onProblem, statOnly } = this.#options;
    const entry = statOnly === true ? plain : whole();
    return {
      name,
      stat,
      entry,
      allocatedBytes: Number(stat.blocks) * 512,
      inode: stat.ino,
      changedNs: stat.ctimeNs,
      whole: () => (statOnly === true ? whole() : entry),
      open: () => readContent(at, { entry, stat, signal, onProblem }),
      openFile: () => openRegularFile(at, stat),
    };
  }

  /** Called once for each name, since it also detects hard links. */
  #plainEntry(place: EntryPlace): Entry {
    const plain = plainEntryAt(place);
    const { path, stat } = place;
    const hardLinkTo = plain.type !== 'dir' && stat.nlink > 1n ? this.#earlierLink(path, stat) : undefined;
    return hardLinkTo === undefined ? plain : { ...plain, hardLinkTo };
  }

  /** Remembers the first path of a file with several names, until all of them have been met. */
  #earlierLink(path: ByteString, stat: BigIntStats): ByteString | undefined {
    const key = `${stat.dev}:${stat.ino}`;
    const known = this.#links.get(key);
    if (known === undefined) {
      this.#links.set(key, { path, left: stat.nlink - 1n });
      return undefined;
    }
    if (--known.left <= 0n) this.#links.delete(key);
    return known.path;
  }
}

function namesIn(handle: DirectoryHandle): ByteString[] {
  return readdirSync(toPath(handle.at('.')), { encoding: 'latin1' }).sort();
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

function rootError(root: ByteString, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const name = toPrintable(root);
  if (errno === 'ENOENT')
    return new AppError('not-found', `Cannot read "${name}": it does not exist`, { cause: error });
  if (errno === 'ENOTDIR')
    return new AppError('usage', `Cannot read "${name}": it is not a directory`, { cause: error });
  const code = errno === 'EACCES' || errno === 'EPERM' ? 'denied' : 'failed';
  return new AppError(code, `Cannot read "${name}": ${reasonText(errno)}`, { cause: error });
}
