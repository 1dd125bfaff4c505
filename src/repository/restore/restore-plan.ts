import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { DataRun } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import type { LocatedBlob } from '../blob-index/blob-index.ts';
import { sealOverhead } from '../crypto/seal.ts';
import type { TreeNode } from '../format/node.ts';
import type { BlobReader } from '../read/blob-reader.ts';
import type { FilePart } from './like-files.ts';
import type { BlobTarget, BlobWork, Metadata, PackWork } from './restore-task.ts';

/** A task is made when this many blobs wait, or this many for one pack. */
const maxWaitingBlobs = 8_000;
const maxBlobsPerTask = 500;

/** Collects the blobs wanted of each pack, so that a pack is read once for all nearby files. */
export class RestorePlan {
  readonly #packs = new Map<string, Map<string, BlobWork>>();
  #waiting = 0;

  /** Returns a task when a pack has enough for one. */
  add(id: string, place: LocatedBlob, target: BlobTarget): PackWork | undefined {
    const pack = this.#packs.get(place.packId) ?? new Map<string, BlobWork>();
    this.#packs.set(place.packId, pack);
    const { offset, length, uncompressedLength } = place;
    const work = pack.get(id) ?? { id, offset, length, uncompressedLength, targets: [] };
    pack.set(id, work);
    work.targets.push(target);
    this.#waiting++;
    return pack.size >= maxBlobsPerTask || work.targets.length >= maxBlobsPerTask
      ? this.#take(place.packId)
      : undefined;
  }

  /** Tasks that make room, oldest packs first; with `all` everything remaining. */
  *drain(all: boolean): Generator<PackWork> {
    if (!all && this.#waiting < maxWaitingBlobs) return;
    for (const packId of [...this.#packs.keys()]) {
      const task = this.#take(packId);
      if (task) yield task;
    }
  }

  #take(packId: string): PackWork | undefined {
    const blobs = [...(this.#packs.get(packId)?.values() ?? [])];
    this.#packs.delete(packId);
    this.#waiting -= blobs.reduce((sum, { targets }) => sum + targets.length, 0);
    return blobs.length > 0 ? { packId, blobs } : undefined;
  }
}

export function metadataOf(node: TreeNode): Metadata {
  return { mode: node.mode, uid: node.uid, gid: node.gid, mtimeNs: node.mtimeNs, xattrs: node.xattrs };
}

/** The parts of a blob at `offset` of a file that lie in its data runs, relative to the blob. */
export function runsOfBlob(runs: readonly DataRun[], offset: number, length: number): DataRun[] {
  const parts: DataRun[] = [];
  for (const run of runs) {
    const start = Math.max(run.offset, offset);
    const end = Math.min(run.offset + run.length, offset + length);
    if (start < end) parts.push({ offset: start - offset, length: end - start });
  }
  return parts;
}

/** A file whose blobs are written by several tasks; it gets its metadata after the last. */
export interface OpenFile {
  readonly path: ByteString;
  readonly metadata: Metadata;
  left: number;
}

/** A blob of a file with its destination. */
export interface Piece extends FilePart {
  readonly place: LocatedBlob;
  readonly target: BlobTarget;
}

interface FileToRestore {
  readonly node: TreeNode;
  readonly path: ByteString;
  /** Otherwise blobs inside holes are left out. */
  readonly withHoles: boolean;
}

/** The destinations of a file's blobs. `integrity` when they do not add up to the file. */
export function filePieces(reader: BlobReader, { node, path, withHoles }: FileToRestore): Piece[] {
  const pieces: Piece[] = [];
  let fileOffset = 0;
  for (const id of node.content) {
    const place = reader.locate(id, 'data');
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
