import { awaitedLater } from '../../lib/awaited-later.ts';
import type { Room } from '../lib/room.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import type { ByteRange, Store, StoreOptions } from '../stores/store.ts';
import { type BlobTools, loadPartOfPack, openBlob, runsOfBlobs } from './stored-blobs.ts';

export interface BlobReadTools extends BlobTools {
  readonly store: Store;
  /** Two, because the next part is read while the content of one is used. */
  readonly sealedRooms: readonly [Room, Room];
  readonly contentRoom: Room;
}

export interface WantedBlob {
  readonly id: string;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

/**
 * Reads the wanted blobs of a pack in stored order, in few requests, each during the use of the previous
 * blobs, and verifies each blob. The content is valid until the next step.
 */
export async function* readBlobs<Blob extends WantedBlob>(
  tools: BlobReadTools,
  packId: string,
  blobs: readonly Blob[],
  options: StoreOptions & {
    readonly explain?: (blob: Blob, error: AppError) => AppError;
    /** Called with each blob's stored bytes, before they are decrypted in place. */
    readonly onSealed?: (sealed: Buffer) => void;
  } = {},
): AsyncGenerator<{ blob: Blob; content: Buffer }> {
  const { signal, explain = (_, error) => error } = options;
  const runs = runsOfBlobs(blobs);
  const load = (run: readonly Blob[], number: number): Promise<Buffer> => {
    const room = tools.sealedRooms[number % 2 === 0 ? 0 : 1];
    const loading = loadPartOfPack(tools.store, packId, rangeOf(run), { signal, room });
    awaitedLater(loading);
    return loading;
  };
  let next: Promise<Buffer> | undefined;
  try {
    for (const [number, run] of runs.entries()) {
      const bytes = await (next ?? load(run, number)).catch((error: unknown) => {
        throw run[0] && isAppError(error) ? explain(run[0], error) : error;
      });
      const following = runs[number + 1];
      next = following && load(following, number + 1);
      const { offset: start } = rangeOf(run);
      for (const blob of run) {
        const sealed = bytes.subarray(blob.offset - start, blob.offset - start + blob.length);
        options.onSealed?.(sealed);
        yield { blob, content: open(tools, { packId, blob, sealed, explain }) };
      }
    }
  } finally {
    // This read must not write into the rooms while their next user has them.
    await next?.catch(() => undefined);
  }
}

function rangeOf(run: readonly WantedBlob[]): ByteRange {
  const offset = run[0]?.offset ?? 0;
  return { offset, length: Math.max(0, ...run.map((blob) => blob.offset + blob.length)) - offset };
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
