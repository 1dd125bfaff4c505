import type { Room } from '../../lib/room.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import type { Store, StoreOptions } from '../stores/store.ts';
import { loadPartOfPack } from './load-part-of-pack.ts';
import { type BlobTools, openBlob } from './open-blob.ts';
import { runsOfBlobs } from './runs-of-blobs.ts';

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

/**
 * Reads the wanted blobs of a pack in the order in which they lie, in few requests, and verifies each. The content is
 * valid until the next step.
 */
export async function* readBlobs<Blob extends WantedBlob>(
  tools: BlobReadTools,
  packId: string,
  blobs: readonly Blob[],
  options: StoreOptions & {
    readonly explain?: (blob: Blob, error: AppError) => AppError;
    /** Told each blob's bytes as they are stored, before they are opened in place. */
    readonly onSealed?: (sealed: Buffer) => void;
  } = {},
): AsyncGenerator<{ blob: Blob; content: Buffer }> {
  const { signal, explain = (_, error) => error } = options;
  for (const run of runsOfBlobs(blobs)) {
    const [first] = run;
    const start = first?.offset ?? 0;
    const end = Math.max(...run.map(({ offset, length }) => offset + length));
    const range = { offset: start, length: end - start };
    const load = loadPartOfPack(tools.store, packId, range, { signal, room: tools.sealedRoom });
    const bytes = await load.catch((error: unknown) => {
      throw first && isAppError(error) ? explain(first, error) : error;
    });
    for (const blob of run) {
      const sealed = bytes.subarray(blob.offset - start, blob.offset - start + blob.length);
      options.onSealed?.(sealed);
      yield { blob, content: open(tools, { packId, blob, sealed, explain }) };
    }
  }
}

interface Opening<Blob> {
  readonly packId: string;
  readonly blob: Blob;
  readonly sealed: Buffer;
  readonly explain: (blob: Blob, error: AppError) => AppError;
}

function open<Blob extends WantedBlob>(
  tools: BlobReadTools,
  { packId, blob, sealed, explain }: Opening<Blob>,
): Buffer {
  const { id, uncompressedLength } = blob;
  try {
    const room = tools.contentRoom.take(uncompressedLength);
    return openBlob(tools, { id, sealed, place: { packId, uncompressedLength } }, room);
  } catch (error) {
    throw isAppError(error) ? explain(blob, error) : error;
  }
}
