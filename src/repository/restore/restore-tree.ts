import { mkdirSync } from 'node:fs';
import { mapOwner } from '../../lib/map-owner.ts';
import { syncFilesystem } from '../../lib/posix.ts';
import { type ByteString, toPath, toText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { HardLinks } from '../read/hard-links.ts';
import { walkTreeNodes } from '../read/walk-tree.ts';
import type { SaveContext } from '../save/save-snapshot.ts';
import { applyMetadata } from './apply-metadata.ts';
import { filePieces, type Piece } from './file-pieces.ts';
import { LikeFiles } from './like-files.ts';
import { type Link, OtherThings } from './other-things.ts';
import { openRestoreCrew, type RestoreCrew } from './restore-crew.ts';
import { metadataOf, type OpenFile, RestorePlan } from './restore-plan.ts';
import type { RestoreRequest } from './restore-request.ts';
import { MadeDirectories } from './made-directories.ts';
import { createFile, makeTarget, openDisk, parentOf, relativeTo } from './restore-target.ts';
import type { Metadata, RestoreTask } from './restore-task.ts';
import type { RestoreResult } from './restore-types.ts';

export interface RestoreContext extends SaveContext {
  /** Workers that are started already; they end with the restore. */
  readonly crew?: RestoreCrew | undefined;
}

/** Restores a tree or a file as `target`, exactly, and makes it durable. What was made before an error stays. */
export async function restoreTree(context: RestoreContext, request: RestoreRequest): Promise<RestoreResult> {
  await using restorer = new Restorer(context, request);
  return await restorer.run();
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
  readonly #directories = new MadeDirectories();
  readonly #openFiles = new Map<ByteString, OpenFile>();
  readonly #running = new Set<Promise<void>>();
  readonly #problems: SaveProblem[] = [];
  readonly #others = new OtherThings({
    metadataOf: (node) => this.#metadataOf(node),
    problems: this.#problems,
  });
  #failure: Error | undefined;
  #files = 0;
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
    if (node.type !== 'dir') this.#others.dropInherited(node as TreeNode, target);
    for (const link of this.#links) this.#makeLink(link);
    // Deepest first: making things in a directory changes its times, and its mode may forbid it.
    for (const { path, metadata } of this.#directories.deepestFirst())
      applyMetadata({ path }, metadata, this.#problems);
    syncFilesystem(disk.fd);
    return {
      files: this.#files,
      directories: this.#directories.count,
      others: this.#others.count,
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
      this.#others.make(node, path);
    }
  }

  #addDirectory(node: RestoreRequest['node'], path: ByteString): void {
    this.#directories.add(path, node.mode === undefined ? undefined : this.#metadataOf(node as TreeNode));
    if (node.subtree !== undefined) return;
    this.#problems.push({ path, reason: 'unreadable', message: 'has lost its content in the snapshot' });
  }

  async #restoreFile(node: TreeNode, path: ByteString): Promise<void> {
    const metadata = this.#metadataOf(node);
    const taken = await this.#like?.take(node, path, () => this.#piecesOf(node, path));
    const [only] = node.content;
    if (taken === undefined && only !== undefined && node.content.length === 1) {
      const [{ place, target }] = filePieces(this.#reader, { node, path, withHoles: true }) as [Piece];
      await this.#want(only, place, { ...target, whole: metadata });
      return;
    }
    if (taken === undefined) createFile(path, node.size);
    const pieces = taken ?? this.#piecesOf(node, path);
    if (pieces.length === 0) {
      this.#finishFile({ path, metadata, left: 0 });
      return;
    }
    this.#openFiles.set(path, { path, metadata, left: pieces.length });
    for (const { id, place, target } of pieces) await this.#want(id, place, target);
  }

  #piecesOf(node: TreeNode, path: ByteString): Piece[] {
    return filePieces(this.#reader, { node, path, withHoles: false });
  }

  async #want(...wanted: Parameters<RestorePlan['add']>): Promise<void> {
    const task = this.#plan.add(...wanted);
    if (task) await this.#start(task);
    for (const waiting of this.#plan.drain(false)) await this.#start(waiting);
  }

  async #start(task: RestoreTask): Promise<void> {
    await this.#settle(this.#pool.size * 3);
    const running = this.#run(task).finally(() => this.#running.delete(running));
    running.catch(
      (error: unknown) => (this.#failure ??= error instanceof Error ? error : new Error(String(error))),
    );
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

  #makeLink(link: Link): void {
    if (!this.#others.link(link)) return;
    if (link.node.type === 'file') this.#files++;
    else this.#others.count++;
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
