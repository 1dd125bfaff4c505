import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { LocatedBlob } from '../blob-index/blob-index.ts';
import { sealOverhead } from '../crypto/seal.ts';
import type { TreeNode } from '../format/node.ts';
import type { BlobReader } from '../read/blob-reader.ts';
import type { FilePart } from './like-files.ts';
import { runsOfBlob } from './restore-plan.ts';
import type { BlobTarget } from './restore-task.ts';

/** A blob of a file, and where it goes. */
export interface Piece extends FilePart {
  readonly place: LocatedBlob;
  readonly target: BlobTarget;
}

export interface FileToRestore {
  readonly node: TreeNode;
  readonly path: ByteString;
  /** Else a blob that lies in a hole is left out. */
  readonly withHoles: boolean;
}

/** Where each blob of a file goes. `integrity` when they are not the whole file. */
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
