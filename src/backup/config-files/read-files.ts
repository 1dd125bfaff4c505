import { fstatSync, readSync } from 'node:fs';
import { detailsAt, plainEntryAt } from '../../lib/entry-at.ts';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { errorInWords } from '../../lib/known-error.ts';
import { mountsWithin, readMounts } from '../../lib/mountinfo.ts';
import { openRegular } from '../../lib/open-regular.ts';
import { openTrusted, realPathOf } from '../../lib/open-trusted.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { closeQuickly, statAt } from '../../lib/posix-at.ts';
import { walkTree } from '../../lib/tree-walk.ts';
import { type ByteString, fromText, toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { errnoOf, isAppError } from '../../model/errors.ts';
import { amount, formatSize } from '../../model/size.ts';
import type { ConfigFile } from '../../repository/index.ts';
import { nameOf, parentOf } from '../../lib/on-disk.ts';
import type { WantedPath } from './wanted-files.ts';

/** Anything larger or more numerous is data, and is backed up by its own path. */
export const limits = { fileBytes: 1 << 20, allBytes: 16 << 20, files: 200 } as const;

export type LeftOut = { readonly path: string; readonly reason: string };

/**
 * Reads small files for a snapshot, each with its parent folders. The paths may come from a user, a label or
 * a file of another user, so it opens only regular files, follows no link that another user can change, reads
 * nothing from kernel file systems, and stays within `limits`.
 */
export class ConfigReader {
  readonly leftOut: LeftOut[] = [];
  readonly #requireAnswer: typeof requireAnswer;
  /** Folders whose storage did not answer: it is waited for once. */
  readonly #silent = new Set<ByteString>();
  readonly #files = new Map<ByteString, ConfigFile>();
  readonly #saved = new Set<string>();
  #bytes = 0;

  constructor(ask = requireAnswer) {
    this.#requireAnswer = ask;
  }

  /** In walk order. */
  get files(): readonly ConfigFile[] {
    return [...this.#files.values()];
  }

  /** The requested paths that were saved whole. */
  get saved(): readonly string[] {
    return [...this.#saved];
  }

  /** Returns a file's content, which may name other files; undefined where none was read. */
  async add({ path, as, isOptional }: WantedPath): Promise<Buffer | undefined> {
    const place = fromText(path);
    try {
      if (!(await this.#answers(path))) return this.#leaveOut(path, 'its storage does not answer');
      using folder = openTrusted(parentOf(place));
      if (isOfKernel(`${realPathOf(folder)}/`)) return this.#leaveOut(path, 'it is of the kernel');
      const stat = statAt(folder.fd, nameOf(place));
      if (stat.isFile()) {
        const content = this.#addFile(folder, place);
        if (content !== undefined) this.#saved.add(path);
        return content;
      }
      if (stat.isDirectory() && as === 'either') {
        if (await this.#addFolder(place)) this.#saved.add(path);
      } else if (stat.isDirectory())
        this.#leaveOut(path, 'it is a folder that containers write to: back it up by its path');
      else if (stat.isSymbolicLink()) this.#leaveOut(path, 'it is a symbolic link');
      return undefined;
    } catch (error) {
      const errno = errnoOf(error);
      const isMissing = errno === 'ENOENT' || errno === 'ENOTDIR';
      if (isOptional && isMissing) return undefined;
      return this.#leaveOut(path, isMissing ? 'it is not there' : errorInWords(error));
    }
  }

  /**
   * A file may lie on a server: if that is away, a blocking read hangs the thread, and the backup with it.
   */
  async #answers(path: string): Promise<boolean> {
    const folder = parentOf(fromText(path));
    if (this.#silent.has(folder)) return false;
    try {
      await this.#requireAnswer(fromText(path), { name: path, patienceMs });
      return true;
    } catch (error) {
      if (!isAppError(error, 'unavailable')) throw error;
      this.#silent.add(folder);
      return false;
    }
  }

  #leaveOut(path: string, reason: string): undefined {
    if (!this.leftOut.some((one) => one.path === path)) this.leftOut.push({ path, reason });
    return undefined;
  }

  #addFile(folder: DirectoryHandle, place: ByteString): Buffer | undefined {
    const { fd } = openRegular(folder.fd, nameOf(place));
    try {
      return this.#keep(place, { fd, at: folder.at(nameOf(place)) });
    } finally {
      closeQuickly(fd);
    }
  }

  #keep(place: ByteString, { fd, at }: { readonly fd: number; readonly at: ByteString }): Buffer | undefined {
    const shown = toPrintable(place);
    const content = readAtMost(fd, limits.fileBytes + 1);
    if (content.length > limits.fileBytes)
      return this.#leaveOut(shown, `it has more than ${formatSize(limits.fileBytes)}`);
    if (this.#bytes + content.length > limits.allBytes || this.#files.size >= limits.files)
      return this.#leaveOut(shown, tooMuch);
    const path = place.slice(1);
    if (this.#files.has(path)) return content;
    this.#keepFolders(place);
    this.#bytes += content.length;
    this.#files.set(path, { entry: { ...wholeEntry(at, path, fd), size: content.length }, content });
    return content;
  }

  /** All of a folder or nothing: a partial folder is no configuration. */
  async #addFolder(place: ByteString): Promise<boolean> {
    using folder = openTrusted(place);
    const real = realPathOf(folder);
    // A mount inside is not part of it, and may be a server that does not answer.
    if (mountsWithin(await readMounts(), real).some((mount) => mount.path !== real))
      return this.#leaveOutFolder(place, 'something is mounted in it: back it up by its path');
    const found: { readonly path: ByteString; readonly entry: Entry; readonly content: Buffer }[] = [];
    let bytes = 0;
    for await (const step of walkTree(folder.self)) {
      const path = `${place}${step.entry.path === '' ? '' : '/'}${step.entry.path}`;
      if (!['dir', 'file', 'symlink'].includes(step.entry.type)) continue;
      if (step.entry.size > limits.fileBytes || bytes > limits.fileBytes || found.length > limits.files)
        return this.#leaveOutFolder(place, tooLarge);
      const content = step.entry.type === 'file' ? readOpened(step.openFile()) : noContent;
      if (content.length > limits.fileBytes) return this.#leaveOutFolder(place, tooLarge);
      bytes += content.length;
      found.push({ path, entry: step.whole(), content });
    }
    if (bytes > limits.fileBytes) return this.#leaveOutFolder(place, tooLarge);
    if (this.#bytes + bytes > limits.allBytes || this.#files.size + found.length > limits.files)
      return this.#leaveOutFolder(place, tooMuch);
    this.#bytes += bytes;
    this.#keepFolders(place);
    for (const { path, entry, content } of found) {
      const key = path.slice(1);
      const { hardLinkTo: _, dataRuns: __, ...plain } = entry;
      const size = entry.type === 'file' ? content.length : 0;
      if (!this.#files.has(key)) this.#files.set(key, { entry: { ...plain, path: key, size }, content });
    }
    return true;
  }

  #leaveOutFolder(place: ByteString, reason: string): false {
    this.#leaveOut(toPrintable(place), reason);
    return false;
  }

  /** With owners and modes, so that recreated folders get them. */
  #keepFolders(place: ByteString): void {
    for (let path = parentOf(place); path !== '/'; path = parentOf(path)) {
      const key = path.slice(1);
      if (this.#files.has(key)) continue;
      using folder = openTrusted(path);
      const entry = wholeEntry(folder.at('.'), key, folder.fd);
      this.#files.set(key, { entry, content: noContent });
    }
  }
}

const patienceMs = 4000;
const noContent = Buffer.alloc(0);
const tooLarge = `it is a folder of more than ${formatSize(limits.fileBytes)}: back it up by its path`;
const tooMuch = `there are more than ${formatSize(limits.allBytes)}, or ${amount(limits.files, 'file')}, without it`;

function wholeEntry(at: ByteString, path: ByteString, fd: number): Entry {
  const stat = fstatSync(fd, { bigint: true });
  const { dataRuns: _, ...entry } = detailsAt(plainEntryAt({ at, path, stat }), { at, path, stat });
  return entry;
}

function isOfKernel(path: ByteString): boolean {
  return /^\/(?:proc|sys|dev|run)\//.test(path);
}

function readOpened(fd: number): Buffer {
  try {
    return readAtMost(fd, limits.fileBytes + 1);
  } finally {
    closeQuickly(fd);
  }
}

/** A file may grow while it is read, or report no size. */
function readAtMost(fd: number, most: number): Buffer {
  const buffer = Buffer.alloc(most);
  let length = 0;
  while (length < most) {
    const read = readSync(fd, buffer, length, most - length, length);
    if (read === 0) break;
    length += read;
  }
  return Buffer.from(buffer.subarray(0, length));
}
