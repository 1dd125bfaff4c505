import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, renameSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { applyMetadata } from './apply-metadata.ts';
import { Breather } from './breathe.ts';
import { type DirectoryHandle, shownPath } from './directory-handle.ts';
import { type FileContent, writeFileContent } from './file-target.ts';
import { hasLastingInodes } from './filesystem-type.ts';
import { OpenDirectories, type OpenDirectory } from './open-directories.ts';
import { makeNode } from './posix.ts';
import { type ProblemReporter, reasonText } from './tree-problem.ts';

export interface TreeWriterOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for metadata that could not be set and entries that could not be created; the rest continues. */
  readonly onProblem?: ProblemReporter | undefined;
  /** Called after each piece of data and each file, with totals so far. */
  readonly onProgress?: ((progress: TreeProgress) => void) | undefined;
  /** The root is empty and no other process uses it, so that files can be written under their own names at once. */
  readonly isStaged?: boolean | undefined;
  /** Default true: sets the root's own owner, mode, times and attributes when the entries have them. */
  readonly setsRoot?: boolean | undefined;
  /** Default true. Otherwise everything belongs to the writing user, as a user other than root requires. */
  readonly setsOwners?: boolean | undefined;
}

export interface TreeProgress {
  readonly bytes: number;
  readonly files: number;
}

/**
 * Creates entries on disk below a directory, in any order and with any names. Nothing is ever created,
 * changed or linked through a symbolic link or above the root: each part of each path is opened in the
 * previous one, and a link there is a `conflict`. A later entry of the same path replaces an earlier one.
 *
 * Files appear under their names when they are complete, with their metadata. Directories get theirs in
 * `finish()`, deepest first; without it they keep what they were created with. Throws `full`, `read-only`,
 * `denied`, `conflict`, `cancelled`, `failed`; the caller removes what was created until then.
 */
export class TreeWriter implements Disposable {
  readonly #options: TreeWriterOptions;
  readonly #open: OpenDirectories;
  readonly #directories = new Map<ByteString, MadeDirectory>();
  readonly #leftOut = new Set<ByteString>();
  readonly #breather: Breather;
  #bytes = 0;
  #files = 0;

  constructor(root: ByteString, options: TreeWriterOptions = {}) {
    this.#options = options;
    this.#open = new OpenDirectories(root, { isStaged: options.isStaged === true });
    this.#breather = new Breather(`writing to "${shownPath(root)}"`, options.signal);
  }

  /** Totals so far. */
  get progress(): TreeProgress {
    return { bytes: this.#bytes, files: this.#files };
  }

  /** `content` is required for files that are not hard links: their bytes, or those of their data runs. */
  async add(entry: Entry, content?: FileContent): Promise<void> {
    this.#breather.check();
    if (this.#breather.isDue()) await this.#breather.breathe();
    checkPath(entry.path);
    if (entry.hardLinkTo !== undefined) checkPath(entry.hardLinkTo);
    try {
      await this.#make(entry, content);
    } catch (error) {
      throw writeError(entry.path, error);
    }
    if (entry.type !== 'dir') {
      this.#files++;
      this.#options.onProgress?.(this.progress);
    }
  }

  async finish(): Promise<TreeProgress> {
    for (const path of [...this.#directories.keys()].sort().reverse()) {
      const made = this.#directories.get(path);
      if (made === undefined || (path === '' && this.#options.setsRoot === false)) continue;
      if (this.#breather.isDue()) await this.#breather.breathe();
      try {
        const { entry } = made;
        const { handle, inheritsAcl } = this.#open.enter(path, { create: false });
        if (isAnother(handle, made)) throw replaced(path);
        const setsOwner = this.#options.setsOwners;
        applyMetadata({ at: handle.at('.'), inheritedAcl: inheritsAcl, setsOwner }, entry, this.#report);
      } catch (error) {
        throw writeError(path, error);
      }
    }
    return this.progress;
  }

  [Symbol.dispose](): void {
    this.#open[Symbol.dispose]();
  }

  readonly #report: ProblemReporter = (problem) => this.#options.onProblem?.(problem);

  async #make(entry: Entry, content: FileContent | undefined): Promise<void> {
    const { type } = entry;
    if (type === 'dir') return this.#makeDirectory(entry);
    const { parent } = this.#parentOf(entry.path);
    const metadata = { inheritedAcl: parent.inheritsAcl, setsOwner: this.#options.setsOwners };
    if (entry.hardLinkTo !== undefined) return this.#makeHardLink(entry, entry.hardLinkTo);
    await this.#place(entry.path, async (at) => {
      if (type === 'file') {
        await writeFileContent(at, content, {
          entry,
          metadata,
          report: this.#report,
          onBytes: (bytes) => this.#countBytes(bytes),
        });
        return;
      }
      if (type === 'symlink') symlinkSync(toPath(entry.linkTarget ?? ''), toPath(at));
      else makeNode(at, { ...entry, type, mode: 0o600 });
      applyMetadata({ ...metadata, at }, entry, this.#report);
    }).catch((error: unknown) => this.#leaveOut(entry, error));
  }

  #countBytes(bytes: number): void {
    this.#breather.check();
    this.#bytes += bytes;
    this.#options.onProgress?.(this.progress);
  }

  #makeDirectory(entry: Entry): void {
    const { handle } = this.#open.enter(entry.path, { create: true, replaces: true });
    this.#directories.set(entry.path, { entry, inode: handle.stat().ino });
  }

  /** Only root can create devices: the entry is reported, and the rest continues. */
  #leaveOut(entry: Entry, error: unknown): void {
    const errno = errnoOf(error);
    const isNode = entry.type !== 'file' && entry.type !== 'symlink';
    if (!isNode || errno === undefined || !['EPERM', 'EOPNOTSUPP', 'EINVAL'].includes(errno)) throw error;
    this.#leftOut.add(entry.path);
    const path = toPrintable(entry.path);
    const message = `"${path}" could not be made: ${reasonText(errno)}`;
    this.#options.onProblem?.({ path, reason: 'unsupported', message });
  }

  async #makeHardLink(entry: Entry, target: ByteString): Promise<void> {
    if (this.#leftOut.has(target)) {
      this.#leftOut.add(entry.path);
      const path = toPrintable(entry.path);
      const message = `"${path}" could not be made: it is the same as "${toPrintable(target)}", which was left out`;
      this.#options.onProblem?.({ path, reason: 'unsupported', message });
      return;
    }
    using source = this.#open.resolve(parentPath(target));
    const from = toPath(source.at(baseName(target)));
    await this.#place(entry.path, (at) => linkSync(from, toPath(at)));
  }

  /**
   * Creates an entry: under its own name in a staged tree, which no other process uses, otherwise under a
   * temporary one that is renamed.
   */
  async #place(path: ByteString, make: (at: ByteString) => void | Promise<void>): Promise<void> {
    const { parent, name } = this.#parentOf(path);
    if (this.#options.isStaged === true && !exists(parent, name))
      return makeWhole(parent.handle.at(name), make);
    const temporary = parent.handle.at(`.holdfast-${randomBytes(8).toString('hex')}.tmp`);
    await makeWhole(temporary, async (at) => {
      await make(at);
      this.#moveInto(parent, path, at);
    });
  }

  #moveInto(parent: OpenDirectory, path: ByteString, from: ByteString): void {
    const to = toPath(parent.handle.at(baseName(path)));
    try {
      renameSync(toPath(from), to);
    } catch (error) {
      if (errnoOf(error) !== 'EISDIR') throw error;
      this.#removeEmptyDirectory(path, to);
      renameSync(toPath(from), to);
    }
    // rename(2) does nothing, and keeps both names, when both are hard links to one file.
    removeQuietly(from);
  }

  #removeEmptyDirectory(path: ByteString, at: string | Buffer): void {
    this.#open.forget(path);
    try {
      rmdirSync(at);
    } catch (error) {
      const message = `Cannot write "${toPrintable(path)}": a directory that is not empty is in its place`;
      throw new AppError('conflict', message, { cause: error, hint: 'Remove the directory first.' });
    }
    this.#directories.delete(path);
  }

  #parentOf(path: ByteString): { readonly parent: OpenDirectory; readonly name: ByteString } {
    return { parent: this.#open.enter(parentPath(path), { create: true }), name: baseName(path) };
  }
}

interface MadeDirectory {
  readonly entry: Entry;
  /** The owner of the parent directory can give this name to another directory, even one of root's. */
  readonly inode: bigint;
}

function isAnother(handle: DirectoryHandle, { inode }: MadeDirectory): boolean {
  return handle.stat().ino !== inode && hasLastingInodes(handle.self);
}

function replaced(path: ByteString): AppError {
  const message = `Cannot write "${toPrintable(path)}": another program has put another directory in its place`;
  return new AppError('conflict', message);
}

async function makeWhole(at: ByteString, make: (at: ByteString) => void | Promise<void>): Promise<void> {
  try {
    await make(at);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') removeQuietly(at);
    throw error;
  }
}

function exists(parent: OpenDirectory, name: ByteString): boolean {
  return lstatSync(toPath(parent.handle.at(name)), { throwIfNoEntry: false }) !== undefined;
}

function removeQuietly(at: ByteString): void {
  try {
    unlinkSync(toPath(at));
  } catch {
    // It does not exist, or the file system fails: then the original error says more.
  }
}

function parentPath(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The source of entries is not trusted to have checked their names. */
function checkPath(path: ByteString): void {
  if (path === '') return;
  const isSound = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (isSound && !path.includes('\0')) return;
  throw new AppError(
    'integrity',
    `Cannot write "${toPrintable(path)}": it is no path below the root of a tree`,
  );
}

/** Turns the error of a system call into one that says what could not be written and why. */
function writeError(path: ByteString, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const message = `Cannot write "${toPrintable(path === '' ? '.' : path)}": ${reasonText(errno)}`;
  return new AppError(writeCodes[errno] ?? 'failed', message, { cause: error });
}

const writeCodes: Readonly<Record<string, 'full' | 'read-only' | 'denied' | 'conflict'>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EROFS: 'read-only',
  EACCES: 'denied',
  EPERM: 'denied',
  ENOTDIR: 'conflict',
  ELOOP: 'conflict',
};

/** An entry, and a file's bytes: those of its data runs for a sparse file. */
export interface TreeMember {
  readonly entry: Entry;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Creates a whole stream of entries below an existing directory, by the rules of `TreeWriter`: safe for any
 * names in any order, with all metadata. What was created before an error stays.
 */
export async function materialize(
  root: ByteString,
  members: AsyncIterable<TreeMember>,
  options: TreeWriterOptions = {},
): Promise<TreeProgress> {
  using writer = new TreeWriter(root, options);
  for await (const { entry, body } of members) await writer.add(entry, body);
  return await writer.finish();
}
