import {
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
} from 'node:fs';
import { mapOwner } from '../../lib/map-owner.ts';
import { makeNode, syncFilesystem, unpackDevice } from '../../lib/posix.ts';
import { type ByteString, toPath, toPrintable, toText } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import type { OwnerMap } from '../../model/owner-map.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import type { LocatedBlob } from '../blob-index/blob-index.ts';
import { sealOverhead } from '../crypto/seal.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { HardLinks } from '../read/hard-links.ts';
import { walkTreeNodes } from '../read/walk-tree.ts';
import type { SaveContext } from '../save/save-snapshot.ts';
import type { RestoreResult, WorkOptions } from '../types.ts';
import { applyMetadata, dropInheritedAcls } from './apply-metadata.ts';
import { metadataOf, type OpenFile, RestorePlan, runsOfBlob } from './restore-plan.ts';
import { type FilePart, LikeFiles, type LikeFilesOptions } from './like-files.ts';
import { openRestoreCrew, type RestoreCrew } from './restore-crew.ts';
import type { BlobTarget, Metadata, RestoreTask } from './restore-task.ts';

export interface RestoreContext extends SaveContext {
  /** Workers that are started already; they end with the restore. */
  readonly crew?: RestoreCrew | undefined;
}

export interface RestoreRequest extends WorkOptions {
  /** What is restored, as `target`. The root of a snapshot has no metadata of its own. */
  readonly node: Pick<TreeNode, 'type' | 'subtree'> & Partial<TreeNode>;
  readonly target: ByteString;
  readonly mapOwner?: OwnerMap | undefined;
  /** Where the same files may lie, see `LikeFiles`. */
  readonly like?: Pick<LikeFilesOptions, 'like' | 'copies'> | undefined;
  readonly expectedBytes: number | undefined;
  readonly expectedFiles: number | undefined;
}

/** Restores a tree or a file as `target`, exactly, and makes it durable. What was made before an error stays. */
export async function restoreTree(context: RestoreContext, request: RestoreRequest): Promise<RestoreResult> {
  await using restorer = new Restorer(context, request);
  return await restorer.run();
}

interface MadeDirectory {
  readonly path: ByteString;
  readonly node: Partial<TreeNode>;
}

/** Another name of a file that was restored as `first`. */
interface Link {
  readonly path: ByteString;
  readonly first: ByteString;
  readonly node: TreeNode;
}

interface Piece extends FilePart {
  readonly place: LocatedBlob;
  readonly target: BlobTarget;
}

/** Below it, one worker may be all that is ever needed. */
const worthWarming = 16 * 1024 * 1024;

class Restorer implements AsyncDisposable {
  readonly #request: RestoreRequest;
  readonly #reader: BlobReader;
  readonly #pool: RestoreCrew;
  readonly #plan = new RestorePlan();
  readonly #hardLinks = new HardLinks();
  readonly #like: LikeFiles | undefined;
  readonly #links: Link[] = [];
  readonly #notMade = new Set<ByteString>();
  readonly #directories: MadeDirectory[] = [];
  readonly #openFiles = new Map<ByteString, OpenFile>();
  readonly #running = new Set<Promise<void>>();
  readonly #problems: SaveProblem[] = [];
  #failure: Error | undefined;
  #files = 0;
  #others = 0;
  #bytes = 0;
  /** What the restored files hold as a program reads them: holes and further names of a file count as in the snapshot. */
  #sizeBytes = 0;
  #lastTold = 0;

  constructor(context: RestoreContext, request: RestoreRequest) {
    this.#request = request;
    const { like, target } = request;
    this.#like = like && new LikeFiles({ ...like, target });
    this.#reader = new BlobReader(context.codec, context.index);
    this.#pool = context.crew ?? openRestoreCrew(context.address);
    this.#pool.notify(context.masterKey);
    if ((request.expectedBytes ?? 0) >= worthWarming) this.#pool.warm();
  }

  async run(): Promise<RestoreResult> {
    const { node, target } = this.#request;
    if (node.type === 'dir') makeTarget(target);
    // Opened before anything is written: the kernel then tells of every write that has failed since, and the target's own
    // mode does not matter.
    using disk = openDisk(node.type === 'dir' ? target : parentOf(target));
    if (node.type === 'dir') await this.#restoreDirectory(node, target);
    else await this.#restoreThing(node as TreeNode, target);
    for (const task of this.#plan.drain(true)) await this.#start(task);
    await this.#settle(0);
    if (node.type !== 'dir') this.#dropInherited(node as TreeNode, target);
    for (const link of this.#links) this.#makeLink(link);
    // Deepest first: making things in a directory changes its times, and its mode may forbid it.
    for (const { path, node: directory } of this.#directories.toReversed())
      this.#finishDirectory(path, directory);
    syncFilesystem(disk.fd);
    return {
      files: this.#files,
      directories: this.#directories.length,
      others: this.#others,
      bytes: this.#sizeBytes,
      bytesTaken: this.#like?.bytes ?? 0,
      problems: this.#problems.map((problem) => ({ ...problem, path: relativeTo(target, problem.path) })),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  async #restoreDirectory(node: RestoreRequest['node'], target: ByteString): Promise<void> {
    this.#addDirectory(node, target);
    if (node.subtree === undefined) return;
    for await (const { node: child, path } of walkTreeNodes(this.#reader, node.subtree, {
      signal: this.#request.signal,
    })) {
      await this.#restoreThing(child, `${target}/${path}`);
    }
  }

  async #restoreThing(node: TreeNode, path: ByteString): Promise<void> {
    this.#throwIfOver();
    if (node.type === 'file') this.#sizeBytes += node.size;
    const first = this.#hardLinks.linkTo(node, path);
    if (first !== undefined) {
      this.#links.push({ path, first, node });
      return;
    }
    if (node.type === 'dir') {
      mkdirSync(toPath(path), 0o700);
      this.#addDirectory(node, path);
    } else if (node.type === 'file') {
      await this.#restoreFile(node, path);
    } else {
      this.#restoreOther(node, path);
    }
  }

  #addDirectory(node: MadeDirectory['node'], path: ByteString): void {
    this.#directories.push({ path, node });
    if (node.subtree !== undefined) return;
    this.#problems.push({ path, reason: 'unreadable', message: 'has lost its content in the snapshot' });
  }

  async #restoreFile(node: TreeNode, path: ByteString): Promise<void> {
    const metadata = this.#metadataOf(node);
    const taken = await this.#like?.take(node, path, () => this.#piecesOf(node, path, false));
    const [only] = node.content;
    if (taken === undefined && only !== undefined && node.content.length === 1) {
      const [{ place, target }] = this.#piecesOf(node, path, true) as [Piece];
      await this.#want(only, place, { ...target, whole: metadata });
      return;
    }
    if (taken === undefined) createFile(path, node.size);
    const pieces = taken ?? this.#piecesOf(node, path, false);
    if (pieces.length === 0) {
      this.#finishFile({ path, metadata, left: 0 });
      return;
    }
    this.#openFiles.set(path, { path, metadata, left: pieces.length });
    for (const { id, place, target } of pieces) await this.#want(id, place, target);
  }

  /** Where each blob of a file goes. A blob that lies in a hole is left out unless `withHoles`. */
  #piecesOf(node: TreeNode, path: ByteString, withHoles: boolean): Piece[] {
    const pieces: Piece[] = [];
    let fileOffset = 0;
    for (const id of node.content) {
      const place = this.#reader.locate(id, 'data');
      const length = place.uncompressedLength > 0 ? place.uncompressedLength : place.length - sealOverhead;
      const runs = node.dataRuns && runsOfBlob(node.dataRuns, fileOffset, length);
      if (withHoles || !runs || runs.length > 0) {
        const target = { path, fileOffset, fileSize: node.size, ...(runs && { runs }) };
        pieces.push({ id, offset: fileOffset, length, place, target });
      }
      fileOffset += length;
    }
    if (fileOffset !== node.size) {
      throw new AppError('integrity', `The blobs of "${toPrintable(path)}" do not add up to its size`);
    }
    return pieces;
  }

  async #want(...wanted: Parameters<RestorePlan['add']>): Promise<void> {
    const task = this.#plan.add(...wanted);
    if (task) await this.#start(task);
    for (const waiting of this.#plan.drain(false)) await this.#start(waiting);
  }

  async #start(task: RestoreTask): Promise<void> {
    await this.#settle(this.#pool.size * 3);
    const running = this.#run(task).finally(() => this.#running.delete(running));
    running.catch((error: unknown) => (this.#failure ??= toError(error)));
    this.#running.add(running);
  }

  async #run(task: RestoreTask): Promise<void> {
    const result = await this.#pool.run(task);
    this.#bytes += result.bytes;
    this.#files += result.files;
    this.#problems.push(...result.problems);
    for (const { targets } of task.blobs) {
      for (const { path } of targets) {
        const file = this.#openFiles.get(path);
        if (file && --file.left === 0) this.#finishFile(file);
      }
    }
    this.#tell(task.blobs[0]?.targets[0]?.path ?? '');
  }

  /** Waits until at most `count` tasks are under way. */
  async #settle(count: number): Promise<void> {
    while (this.#running.size > count) await Promise.race(this.#running).catch(() => undefined);
    this.#throwIfOver();
  }

  #finishFile({ path, metadata }: OpenFile): void {
    this.#openFiles.delete(path);
    applyMetadata({ path }, metadata, this.#problems);
    this.#files++;
  }

  #restoreOther(node: TreeNode, path: ByteString): void {
    const { type } = node;
    if (type === 'file' || type === 'dir') return;
    if (type === 'irregular') return this.#leaveOut(path, 'is of a kind that cannot be restored');
    if (type === 'symlink') symlinkSync(toPath(node.linkTarget ?? ''), toPath(path));
    else if (!this.#makeNode(path, node, type)) return;
    applyMetadata({ path, isSymlink: type === 'symlink' }, this.#metadataOf(node), this.#problems);
    this.#others++;
  }

  #makeNode(path: ByteString, node: TreeNode, type: 'fifo' | 'socket' | 'chardev' | 'blockdev'): boolean {
    const { major, minor } = unpackDevice(node.device);
    try {
      makeNode(path, { type, mode: node.mode, deviceMajor: major, deviceMinor: minor });
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EPERM') throw error;
      this.#leaveOut(path, 'is a device, which only root may make');
      return false;
    }
  }

  #leaveOut(path: ByteString, message: string): void {
    this.#notMade.add(path);
    this.#problems.push({ path, reason: 'unreadable', message });
  }

  #makeLink({ path, first, node }: Link): void {
    if (this.#notMade.has(first)) return this.#leaveOut(path, `is the same as "${toPrintable(first)}"`);
    linkSync(toPath(first), toPath(path));
    if (node.type === 'file') this.#files++;
    else this.#others++;
  }

  /** A single thing is made in a directory that is not ours, whose default ACL it gets. */
  #dropInherited(node: TreeNode, path: ByteString): void {
    if (node.type === 'symlink' || this.#notMade.has(path)) return;
    const isOwn = node.xattrs.some(({ name }) => name === 'system.posix_acl_access');
    if (isOwn || !dropInheritedAcls(path)) return;
    // Without its ACL the group's bits mean the group again, and not the ACL's mask.
    applyMetadata({ path }, this.#metadataOf(node), this.#problems);
  }

  #finishDirectory(path: ByteString, node: Partial<TreeNode>): void {
    if (node.mode === undefined) return;
    applyMetadata({ path }, this.#metadataOf(node as TreeNode), this.#problems);
  }

  #metadataOf(node: TreeNode): Metadata {
    return mapOwner(metadataOf(node), this.#request.mapOwner);
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#request.signal?.aborted) throw new AppError('cancelled', 'The restore was stopped');
  }

  #tell(path: ByteString): void {
    const now = performance.now();
    if (!this.#request.onProgress || now - this.#lastTold < 100) return;
    this.#lastTold = now;
    this.#request.onProgress({
      phase: 'restoring',
      filesDone: this.#files,
      filesTotal: this.#request.expectedFiles,
      bytesDone: this.#bytes,
      bytesTotal: this.#request.expectedBytes,
      current: toText(path),
    });
  }
}

/** Below the target, in words for people: where it was made ready is nobody's business. */
function relativeTo(target: ByteString, path: ByteString): string {
  return toPrintable(
    path === target ? '/' : path.startsWith(`${target}/`) ? path.slice(target.length + 1) : path,
  );
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Makes the target directory, or takes an empty one: restoring never merges. */
function makeTarget(target: ByteString): void {
  try {
    mkdirSync(toPath(target), 0o700);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    const isDirectory = lstatSync(toPath(target)).isDirectory();
    if (!isDirectory || readdirSync(toPath(target)).length > 0) {
      const reason = isDirectory ? 'it is not empty' : 'it is there already, and is no directory';
      throw new AppError('exists', `Cannot restore to "${toPrintable(target)}": ${reason}`, {
        hint: 'Choose a directory that does not exist, or an empty one.',
      });
    }
  }
  dropInheritedAcls(target);
}

function createFile(path: ByteString, size: number): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(toPath(path), flags, 0o600);
  try {
    ftruncateSync(fd, size);
  } finally {
    closeSync(fd);
  }
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 1));
}

/** A directory, to make its file system durable. */
function openDisk(path: ByteString): { readonly fd: number } & Disposable {
  const fd = openSync(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}
