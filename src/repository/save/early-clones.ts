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

/** To clone fewer takes less than ten milliseconds. */
const manyExtents = 250;
/** Of all files together: what is to be compared is kept in memory. */
const mostExtents = 200_000;
/** Whoever writes to the file waits while a part of it is cloned. */
const partBytes = 4 * 1024 * 1024;
const mostFiles = 100;
const mostMs = 3000;

interface Work {
  readonly root: DirectoryHandle;
  readonly breather: Breather;
  readonly isLate: () => boolean;
}

/**
 * Clones of files in use, made part by part before they are still. XFS takes 40 to 60 microseconds for each extent of
 * a file that is cloned, btrfs about ten: one in ten thousand of them would keep its containers still for half a second,
 * or a tenth. To compare the places of both takes a sixth of that, and then only what has changed since is cloned while
 * they are still.
 *
 * What is not taken is closed by the disposal, which takes as long as to clone it.
 */
export class EarlyClones implements Disposable {
  readonly #clones = new Map<string, EarlyClone>();
  /** Those that are no more what they were. To close them takes as long as to clone them. */
  readonly #spoiled: number[] = [];
  #extents = 0;

  /** Of the files at these paths below a folder. What cannot be had is left out: it is cloned as a whole when it is still. */
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

  /** It is somebody else's, who closes it. */
  letGo(original: number): void {
    this.#clones.delete(keyOf(original));
  }

  /** It could not be made what the file is now: it is of no use any more. */
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
    // What is beyond the last whole part differs, and is cloned when it is still.
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
    // For nothing but that it has run: code is compiled when it has, and later everybody waits for it.
    differingRanges(tryTo(() => fileExtents(original.fd)) ?? [], extents, bytes);
    this.#extents += extents.length;
    this.#clones.set(keyOf(original.fd), { fd: clone, extents });
    made.move();
  }
}

/** Never through a symbolic link, which another user may have put in the place of a directory. */
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
