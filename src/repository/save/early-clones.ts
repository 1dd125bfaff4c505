import { closeSync, ftruncateSync, statfsSync } from 'node:fs';
import { Breather } from '../../lib/breathe.ts';
import { cloneRange } from '../../lib/ioctl.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { countFileExtents, differingRanges, fileExtents } from '../extents/file-extents.ts';
import { filesystemType } from '../../lib/filesystem-type.ts';
import { openRegular } from '../../lib/open-regular.ts';
import { statOpen } from '../../lib/posix-at.ts';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { makeNameless } from './cloned-file.ts';
import type { EarlyClone } from './renew-clone.ts';

/** Cloning fewer takes less than ten milliseconds. */
const manyExtents = 250;
/** For all files together, since the extents to compare are kept in memory. */
const mostExtents = 200_000;
/** Cloning a part blocks writers to the file. */
const partBytes = 4 * 1024 * 1024;
const mostFiles = 100;
const mostMs = 3000;

interface Work {
  readonly root: DirectoryHandle;
  readonly breather: Breather;
  readonly isLate: () => boolean;
}

/**
 * Clones of files in use, made part by part before they are still. XFS takes 40 to 60 microseconds to clone
 * each extent, btrfs about ten: a file of ten thousand would keep its containers still for half a second, or
 * a tenth. Comparing the places of both takes a sixth of that, and then only the changed parts are cloned
 * while the files are still.
 *
 * Clones that were not used are closed by the disposal, which takes as long as cloning.
 */
export class EarlyClones implements Disposable {
  readonly #clones = new Map<string, EarlyClone>();
  /** Clones that no longer match their files. Closing them takes as long as cloning them. */
  readonly #spoiled: number[] = [];
  #extents = 0;

  /**
   * Clones the files at these paths below a folder. Files that cannot be cloned now are left out: they are
   * cloned completely when they are still.
   */
  async add(folder: ByteString, paths: Iterable<ByteString>, signal: AbortSignal | undefined): Promise<void> {
    using root = tryTo(() => DirectoryHandle.open(folder));
    if (root === undefined) return;
    const type = tryTo(() => statfsSync(toPath(root.at('.'))).type);
    if (type !== filesystemType.xfs && type !== filesystemType.btrfs) return;
    const breather = new Breather('saving', signal);
    const until = performance.now() + mostMs;
    const isLate = (): boolean => performance.now() > until;
    for (const path of paths) {
      if (this.#clones.size >= mostFiles || isLate()) return;
      await breather.breathe();
      await this.#add(path, { root, breather, isLate });
    }
  }

  /** The clone of an open file, as it was then; undefined where there is none. */
  of(original: number): EarlyClone | undefined {
    return this.#clones.get(keyOf(original));
  }

  /** Forgets a clone, which the caller owns and closes from then on. */
  letGo(original: number): void {
    this.#clones.delete(keyOf(original));
  }

  /** The clone could not be updated to the file's current state, and is useless. */
  spoil(original: number): void {
    const clone = this.of(original);
    if (clone === undefined) return;
    this.letGo(original);
    this.#spoiled.push(clone.fd);
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#clones.values()) closeSync(fd);
    for (const fd of this.#spoiled) closeSync(fd);
    this.#clones.clear();
    this.#spoiled.length = 0;
  }

  async #add(path: ByteString, { root, breather, isLate }: Work): Promise<void> {
    using original = tryTo(() => openBelow(root, path));
    if (original === undefined || this.of(original.fd) !== undefined) return;
    const count = tryTo(() => countFileExtents(original.fd)) ?? 0;
    if (count < manyExtents || this.#extents + count > mostExtents) return;
    using made = new DisposableStack();
    const clone = makeNameless(root.at('.'), original.fd);
    if (clone === undefined) return;
    made.adopt(clone, closeSync);
    // The rest after the last whole part differs, and is cloned when the file is still.
    const bytes = Math.floor(Number(statOpen(original.fd).size) / partBytes) * partBytes;
    const isLong = tryTo(() => (ftruncateSync(clone, bytes), true));
    if (isLong === undefined) return;
    for (let offset = 0; offset < bytes; offset += partBytes) {
      if (isLate() || !cloneRange(clone, original.fd, { offset, length: partBytes })) return;
      await breather.breathe();
    }
    const extents = tryTo(() => fileExtents(clone));
    if (extents === undefined || this.#extents + extents.length > mostExtents) return;
    await breather.breathe();
    // A warm-up: the code is compiled now, rather than while containers wait.
    differingRanges(tryTo(() => fileExtents(original.fd)) ?? [], extents, bytes);
    this.#extents += extents.length;
    this.#clones.set(keyOf(original.fd), { fd: clone, extents });
    made.move();
  }
}

/** Never follows a symbolic link, which another user may have put in the place of a directory. */
function openBelow(root: DirectoryHandle, path: ByteString): { readonly fd: number } & Disposable {
  const names = path.split('/');
  const name = names.pop() ?? '';
  using directory = root.openBelow(names);
  const { fd } = openRegular(directory.fd, name);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

function keyOf(fd: number): string {
  const { dev, ino } = statOpen(fd);
  return `${dev}:${ino}`;
}

function tryTo<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
