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
  /** A directory that is likely to have the same files as what is restored. It is only read. */
  readonly like: ByteString;
  /** Where it is restored to. */
  readonly places: OpenDirectories;
  /** Copies where blocks cannot be shared: for repositories that are farther away than the disk. */
  readonly copies: boolean;
}

/** A smaller file is as quickly fetched as it is looked at. */
const worthLooking = 128 * 1024;

/**
 * Takes what restored files have in common with files that are there from those, and not from the repository: blocks are
 * shared where the file system can do that. Nothing is believed of such a file: its name says where to look, and what is
 * taken has been read where it is now and has the hash that the snapshot says.
 */
export class LikeFiles implements Disposable {
  readonly #options: LikeFilesOptions;
  readonly #found: OpenDirectories;
  #canClone = true;
  /** So much was taken. */
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
   * Makes the file at `path` with the parts that could be taken, and gives back the others. Undefined when there is
   * nothing to take: no file was made then.
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
      // To open a device can do something already, and what writes to the volume may put one there at any moment.
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
