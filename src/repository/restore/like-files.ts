import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { cloneFile } from '../../lib/ioctl.ts';
import { OpenDirectories } from '../../lib/open-directories.ts';
import { openRegular } from '../../lib/open-regular.ts';
import { closeQuickly, unlinkAt } from '../../lib/posix-at.ts';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { errnoOf, isAppError } from '../../model/errors.ts';
import type { TreeNode } from '../format/node.ts';
import { placeOf } from './restore-target.ts';

/** A blob's place in a file. */
export interface FilePart {
  readonly id: string;
  readonly offset: number;
  readonly length: number;
}

export interface LikeFilesOptions {
  /** A directory that probably has the same files as the restored tree. It is only read. */
  readonly like: ByteString;
  /** Where it is restored to. */
  readonly places: OpenDirectories;
  /** Copies where blocks cannot be shared: for repositories that are farther away than the disk. */
  readonly copies: boolean;
}

/** Fetching a smaller file is as quick as examining it. */
const worthLooking = 128 * 1024;

/**
 * Takes content that restored files share with existing ones from those, not from the repository: blocks are
 * shared where the file system can. Existing files are not trusted: a name only says where to look, and
 * everything taken is read at its new place and verified against the snapshot's hash.
 */
export class LikeFiles implements Disposable {
  readonly #options: LikeFilesOptions;
  readonly #found: OpenDirectories;
  #canClone = true;
  /** Bytes taken so far. */
  bytes = 0;

  private constructor(options: LikeFilesOptions, found: OpenDirectories) {
    this.#options = options;
    this.#found = found;
  }

  /** Undefined when there is no such directory. */
  static open(options: LikeFilesOptions): LikeFiles | undefined {
    try {
      const found = new OpenDirectories(options.like, { isStaged: true, keepsRoot: true });
      return new LikeFiles(options, found);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#found[Symbol.dispose]();
  }

  /**
   * Creates the file at `path` with the parts that could be taken, and returns the other parts. Undefined,
   * without a file, when there is nothing to take.
   */
  async take<P extends FilePart>(
    node: TreeNode,
    path: ByteString,
    partsOf: () => readonly P[],
  ): Promise<P[] | undefined> {
    if (node.size < worthLooking || node.dataRuns !== undefined) return undefined;
    if (!this.#canClone && !this.#options.copies) return undefined;
    await using source = await this.#openLike(path);
    if (source === undefined) return undefined;
    const made = await this.#makeFile(source, path);
    if (made === undefined) return undefined;
    await using file = made.file;
    await file.truncate(node.size);
    const left: P[] = [];
    for (const part of partsOf()) {
      const taken = made.isClone ? await isThere(file, part) : await copyPart(source, file, part);
      if (!taken) left.push(part);
      else this.bytes += part.length;
    }
    return left;
  }

  async #openLike(path: ByteString): Promise<FileHandle | undefined> {
    try {
      const { folder, name } = placeOf(this.#found, path);
      // Opening a device can have effects, and a program that writes to the volume may put one there at any
      // moment.
      const { fd, stat } = openRegular(folder.fd, name);
      using _held = { [Symbol.dispose]: () => closeQuickly(fd) };
      if (stat.size > 0n) return await open(`/proc/self/fd/${fd}`, constants.O_RDONLY);
    } catch (error) {
      if (errnoOf(error) === undefined && !isAppError(error, 'conflict')) throw error;
    }
    return undefined;
  }

  async #makeFile(
    source: FileHandle,
    path: ByteString,
  ): Promise<{ readonly file: FileHandle; readonly isClone: boolean } | undefined> {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const { folder, name } = placeOf(this.#options.places, path);
    const file = await open(toPath(folder.at(name)), flags, 0o600);
    if (this.#canClone && cloneFile(file.fd, source.fd)) return { file, isClone: true };
    this.#canClone = false;
    if (this.#options.copies) return { file, isClone: false };
    await file.close();
    unlinkAt(folder.fd, name);
    return undefined;
  }
}

async function isThere(file: FileHandle, part: FilePart): Promise<boolean> {
  return (await readPart(file, part)) !== undefined;
}

async function copyPart(from: FileHandle, to: FileHandle, part: FilePart): Promise<boolean> {
  const content = await readPart(from, part);
  if (content === undefined) return false;
  for (let done = 0; done < content.length;)
    done += (await to.write(content, done, content.length - done, part.offset + done)).bytesWritten;
  return true;
}

/** Undefined when it has other bytes, or cannot be read. */
async function readPart(file: FileHandle, { id, offset, length }: FilePart): Promise<Buffer | undefined> {
  const content = Buffer.allocUnsafe(length);
  try {
    for (let done = 0; done < length;) {
      const { bytesRead } = await file.read(content, done, length - done, offset + done);
      if (bytesRead === 0) return undefined;
      done += bytesRead;
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
  return createHash('sha256').update(content).digest('hex') === id ? content : undefined;
}
