import type { Room } from '../../lib/room.ts';
import type { Store, StoreOptions } from '../stores/store.ts';
import { loadPartOfPack } from './load-part-of-pack.ts';
import { type BlobTools, openBlob } from './open-blob.ts';

export interface BlobReadTools extends BlobTools {
  readonly store: Store;
  readonly sealedRoom: Room;
  readonly contentRoom: Room;
}

export interface WantedBlob {
  readonly id: string;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

/** Blobs that lie closer than this are read together with what is between them. */
const gapBytes = 64 * 1024;
const readBytes = 4 * 1024 * 1024;

/**
 * Reads the wanted blobs of a pack in the order in which they lie, in few requests, and verifies each. The content is
 * valid until the next step.
 */
export async function* readBlobs<Blob extends WantedBlob>(
  tools: BlobReadTools,
  packId: string,
  blobs: readonly Blob[],
  options?: StoreOptions,
): AsyncGenerator<{ blob: Blob; content: Buffer }> {
  for (const run of runsOf(blobs)) {
    const start = run[0]?.offset ?? 0;
    const end = Math.max(...run.map(({ offset, length }) => offset + length));
    const bytes = await loadPartOfPack(
      tools.store,
      packId,
      { offset: start, length: end - start },
      { ...options, room: tools.sealedRoom },
    );
    for (const blob of run) {
      const sealed = bytes.subarray(blob.offset - start, blob.offset - start + blob.length);
      const place = { packId, uncompressedLength: blob.uncompressedLength };
      yield {
        blob,
        content: openBlob(
          tools,
          { id: blob.id, sealed, place },
          tools.contentRoom.take(blob.uncompressedLength),
        ),
      };
    }
  }
}

function runsOf<Blob extends WantedBlob>(blobs: readonly Blob[]): Blob[][] {
  const runs: Blob[][] = [];
  let start = 0;
  let end = -1;
  for (const blob of blobs.toSorted((a, b) => a.offset - b.offset)) {
    const stop = blob.offset + blob.length;
    const current = runs.at(-1);
    if (current && blob.offset >= end && blob.offset - end <= gapBytes && stop - start <= readBytes) {
      current.push(blob);
    } else {
      runs.push([blob]);
      start = blob.offset;
    }
    end = stop;
  }
  return runs;
}
