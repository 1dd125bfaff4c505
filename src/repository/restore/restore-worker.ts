import { ftruncateSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { OpenDirectories } from '../../lib/open-directories.ts';
import { openOwnFile } from '../../lib/open-trusted.ts';
import { closeQuickly } from '../../lib/posix-at.ts';
import { limitMallocArenas, startWriteback } from '../../lib/posix.ts';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import { openCompressor } from '../crypto/compression.ts';
import { type MasterKey, Sealer } from '../crypto/seal.ts';
import { Room } from '../lib/room.ts';
import { readBlobs } from '../read/read-blobs.ts';
import { openStore, type StoreAddress } from '../stores/open-store.ts';
import { serveTasks } from '../workers/worker-side.ts';
import { applyMetadata } from './apply-metadata.ts';
import { openNewFile, placeOf } from './restore-target.ts';
import type { BlobTarget, BlobWork, Metadata, RestoreTask, RestoreTaskResult } from './restore-task.ts';

/** Reads packs, opens their blobs, and writes files. */

limitMallocArenas(2);

const parts = {
  store: openStore(workerData as StoreAddress),
  compressor: openCompressor(),
  sealedRooms: [new Room(), new Room()] as const,
  contentRoom: new Room(),
};

let sealer: Sealer | undefined;

serveTasks<RestoreTask, RestoreTaskResult, never, never, MasterKey>({
  onTask: runTask,
  onNotice: (masterKey) => (sealer = new Sealer(masterKey)),
});

async function runTask(task: RestoreTask): Promise<RestoreTaskResult> {
  if (sealer === undefined) throw new Error('The key comes before the first task');
  const tools = { ...parts, sealer };
  const problems: SaveProblem[] = [];
  let bytes = 0;
  let files = 0;
  // All threads share the process's descriptors: this one is open for as long as there are tasks.
  const root = `/proc/self/fd/${task.rootFd}`;
  using places = new OpenDirectories(root, { isStaged: true, keepsRoot: true });
  using inHand = new FileInHand(places);
  for await (const { blob, content } of readBlobs(tools, task.packId, task.blobs, { explain })) {
    for (const target of blob.targets) {
      explained(target.path, () => {
        if (target.whole) writeWhole(places, { ...target, whole: target.whole }, { content, problems });
        else writePart(inHand, target, content);
      });
      bytes += content.length;
      if (target.whole) files++;
    }
  }
  return { bytes, files, problems };
}

/** The user knows the file that a damaged blob belongs to, not the blob. */
function explain({ targets: [first, ...others] }: BlobWork, error: AppError): AppError {
  const path = toPrintable(first?.path ?? '');
  const more = others.length > 0 ? ` and ${others.length} more places` : '';
  return new AppError(error.code, `Cannot restore "${path}"${more}: ${error.message}`, {
    detail: error.detail,
    hint: error.hint,
    cause: error,
  });
}

type WholeTarget = BlobTarget & { readonly whole: Metadata };

function writeWhole(
  places: OpenDirectories,
  target: WholeTarget,
  { content, problems }: { readonly content: Buffer; readonly problems: SaveProblem[] },
): void {
  const fd = openNewFile(places, target.path);
  try {
    writeRuns(fd, target, content);
    if (target.runs) ftruncateSync(fd, target.fileSize);
    applyMetadata({ path: target.path, fd }, target.whole, problems);
  } finally {
    closeQuickly(fd);
  }
}

function writePart(inHand: FileInHand, target: BlobTarget, content: Buffer): void {
  writeRuns(inHand.open(target.path, target.fileOffset, content.length), target, content);
}

function writeRuns(fd: number, { runs, fileOffset }: BlobTarget, content: Buffer): void {
  if (!runs) return writeFully(fd, content, fileOffset);
  for (const { offset, length } of runs) {
    writeFully(fd, content.subarray(offset, offset + length), fileOffset + offset);
  }
}

function writeFully(fd: number, content: Buffer, position: number): void {
  for (let done = 0; done < content.length;) {
    done += writeSync(fd, content, done, content.length - done, position + done);
  }
}

function explained(path: ByteString, write: () => void): void {
  try {
    write();
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new AppError('full', `Cannot restore "${toPrintable(path)}": the disk is full`, { cause: error });
    }
    const meaning = code === 'EEXIST' ? 'exists' : 'failed';
    const reason = code === 'EEXIST' ? 'it is there already' : (code ?? String(error));
    throw new AppError(meaning, `Cannot restore "${toPrintable(path)}": ${reason}`, { cause: error });
  }
}

/** From this size on it is worth asking the kernel to start writeback. */
const worthWriting = 4 * 1024 * 1024;

/** An existing file, kept open from one blob to the next: most blobs of a pack belong to one file. */
class FileInHand implements Disposable {
  readonly #places: OpenDirectories;
  #path: ByteString | undefined;
  #fd = -1;
  #start = 0;
  #end = 0;

  constructor(places: OpenDirectories) {
    this.#places = places;
  }

  /** Opens the file for a write to these bytes. */
  open(path: ByteString, start: number, length: number): number {
    if (path !== this.#path) {
      this.release();
      const { folder, name } = placeOf(this.#places, path);
      this.#fd = openOwnFile(folder, name);
      this.#path = path;
      this.#start = start;
      this.#end = start;
    }
    this.#start = Math.min(this.#start, start);
    this.#end = Math.max(this.#end, start + length);
    return this.#fd;
  }

  /** Starts writeback now, rather than when everything has to be durable. */
  release(): void {
    if (this.#path === undefined) return;
    const length = this.#end - this.#start;
    if (length >= worthWriting) startWriteback(this.#fd, { offset: this.#start, length });
    closeQuickly(this.#fd);
    this.#path = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
