import { mkdirSync } from 'node:fs';
import { mapOwner } from '../../lib/map-owner.ts';
import { OpenDirectories } from '../../lib/open-directories.ts';
import { closeQuickly } from '../../lib/posix-at.ts';
import { syncFilesystem } from '../../lib/posix.ts';
import { type ByteString, toPath, toPrintable, toText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { HardLinks, walkTreeNodes } from '../read/walk-tree.ts';
import type { SaveContext } from '../save/save-scheduler.ts';
import { applyMetadata, applyToDirectory } from './apply-metadata.ts';
import { filePieces, metadataOf, type OpenFile, type Piece, RestorePlan } from './restore-plan.ts';
import { LikeFiles } from './like-files.ts';
import { type Link, OtherThings } from './other-things.ts';
import { openRestoreWorkers, type RestoreWorkers } from './restore-workers.ts';
import type { RestoreRequest } from './restore-request.ts';
import { MadeDirectories } from './made-directories.ts';
import { createFile, type HeldTarget, holdTarget, openDisk, placeOf } from './restore-target.ts';
import { openOwnFile } from '../../lib/open-trusted.ts';
import type { Metadata, PackWork } from './restore-task.ts';
import type { RestoreResult } from '../requests.ts';

export interface RestoreContext extends SaveContext {
  /** Workers that are already started; they end with the restore. */
  readonly workers?: RestoreWorkers | undefined;
}

/**
 * Restores a tree or a file as `target`, exactly, and makes it durable. What was written before an error
 * stays.
 */
export async function restoreTree(context: RestoreContext, request: RestoreRequest): Promise<RestoreResult> {
  // Closed last, since the workers open files relative to these directories.
  using places = new DisposableStack();
  await using pool = context.workers ?? openRestoreWorkers(context.address);
  pool.notify(context.masterKey);
  if ((request.expectedBytes ?? 0) >= worthWarming) pool.warm();
  const held = places.use(holdTarget(request.target, { isDirectory: request.node.type === 'dir' }));
  using restorer = new Restorer(context, request, { pool, held });
  return await restorer.run();
}

function close(opened: Disposable | undefined): void {
  opened?.[Symbol.dispose]();
}

/** Below this size, one worker may be enough. */
const worthWarming = 16 * 1024 * 1024;

class Restorer implements Disposable {
  readonly #request: RestoreRequest;
  readonly #reader: BlobReader;
  readonly #pool: RestoreWorkers;
  readonly #held: HeldTarget;
  readonly #opened = new DisposableStack();
  /** The directories of the walk's current position. */
  readonly #places: OpenDirectories;
  /** The directories in which entries begun earlier are finished. */
  readonly #earlier: OpenDirectories;
  readonly #plan = new RestorePlan();
  readonly #hardLinks = new HardLinks();
  readonly #like: LikeFiles | undefined;
  readonly #links: Link[] = [];
  readonly #directories = new MadeDirectories();
  readonly #openFiles = new Map<ByteString, OpenFile>();
  readonly #running = new Set<Promise<void>>();
  readonly #problems: SaveProblem[] = [];
  readonly #others: OtherThings;
  #failure: Error | undefined;
  #files = 0;
  #bytes = 0;
  /**
   * The size of the restored files as a program reads them: holes and hard links count as in the snapshot.
   */
  #sizeBytes = 0;
  #lastTold = 0;

  constructor(
    context: RestoreContext,
    request: RestoreRequest,
    { pool, held }: { readonly pool: RestoreWorkers; readonly held: HeldTarget },
  ) {
    this.#request = request;
    this.#pool = pool;
    this.#held = held;
    this.#reader = new BlobReader(context.codec, context.index);
    this.#places = this.#openPlaces();
    this.#earlier = this.#openPlaces();
    this.#others = new OtherThings({
      places: this.#places,
      firsts: this.#earlier,
      metadataOf: (node) => this.#metadataOf(node),
      problems: this.#problems,
    });
    const { like } = request;
    const isWhole = held.single === undefined;
    if (like !== undefined && isWhole)
      this.#like = this.#opened.adopt(LikeFiles.open({ ...like, places: this.#places }), close);
  }

  #openPlaces(): OpenDirectories {
    const options = { isStaged: true, keepsRoot: true };
    return this.#opened.use(new OpenDirectories(this.#held.root.self, options));
  }

  [Symbol.dispose](): void {
    this.#opened[Symbol.dispose]();
  }

  async run(): Promise<RestoreResult> {
    const { node } = this.#request;
    const { root, single } = this.#held;
    // Opened before anything is written: the kernel then reports every write that fails afterwards, and the
    // target's own mode does not matter.
    using disk = openDisk(root);
    if (single === undefined) await this.#restoreDirectory(node);
    else await this.#restoreThing(node as TreeNode, single);
    for (const task of this.#plan.drain(true)) await this.#start(task);
    await this.#settle(0);
    if (single !== undefined) this.#others.dropInherited(node as TreeNode, single);
    for (const link of this.#links) this.#makeLink(link);
    // Deepest first: creating entries in a directory changes its times, and its mode may forbid it.
    for (const { path, metadata } of this.#directories.deepestFirst()) {
      const { handle } = this.#places.enter(path, { create: false });
      applyToDirectory({ folder: handle, path }, metadata, this.#problems);
    }
    syncFilesystem(disk.fd);
    return {
      files: this.#files,
      directories: this.#directories.count,
      others: this.#others.count,
      bytes: this.#sizeBytes,
      bytesTaken: this.#like?.bytes ?? 0,
      problems: this.#problems.map((problem) => ({ ...problem, path: this.#shown(problem.path) })),
    };
  }

  /** The path below the target, as messages show it: the staging folder means nothing to the user. */
  #shown(path: ByteString): string {
    return toPrintable(path === (this.#held.single ?? '') ? '/' : path);
  }

  async #restoreDirectory(node: RestoreRequest['node']): Promise<void> {
    this.#addDirectory(node, '');
    if (node.subtree === undefined) return;
    for await (const { node: child, path } of walkTreeNodes(this.#reader, node.subtree, {
      signal: this.#request.signal,
    })) {
      await this.#restoreThing(child, path);
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
      const { folder, name } = placeOf(this.#places, path);
      mkdirSync(toPath(folder.at(name)), 0o700);
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
    if (taken === undefined) createFile(this.#places, path, node.size);
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

  async #start(task: PackWork): Promise<void> {
    await this.#settle(this.#pool.size * 3);
    const running = this.#run(task).finally(() => this.#running.delete(running));
    running.catch(
      (error: unknown) => (this.#failure ??= error instanceof Error ? error : new Error(String(error))),
    );
    this.#running.add(running);
  }

  async #run(task: PackWork): Promise<void> {
    const result = await this.#pool.run({ ...task, rootFd: this.#held.root.fd });
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

  /** Waits until at most `count` tasks are running. */
  async #settle(count: number): Promise<void> {
    // The task records its failure, which `#throwIfOver` throws.
    while (this.#running.size > count) await Promise.race(this.#running).catch(() => undefined);
    this.#throwIfOver();
  }

  #finishFile({ path, metadata }: OpenFile): void {
    this.#openFiles.delete(path);
    const { folder, name } = placeOf(this.#earlier, path);
    const fd = openOwnFile(folder, name);
    try {
      applyMetadata({ path, fd }, metadata, this.#problems);
    } finally {
      closeQuickly(fd);
    }
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
