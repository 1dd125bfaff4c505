import { AppError } from '../../model/errors.ts';
import { type Sealer, sealOverhead } from '../crypto/seal.ts';
import { type BlobPlace, decodePackHeader } from '../pack/pack-header.ts';
import type { Store, StoredFile, StoreOptions } from '../stores/store.ts';

/** Most headers are shorter, so that one request is enough. */
const guessBytes = 64 * 1024;
/** Restic's limit. */
const maxHeaderBytes = 16 * 1024 * 1024;
const lengthFieldBytes = 4;

/**
 * The content of a pack according to its own header, which is at its end. `integrity` when the header is
 * invalid.
 */
export async function readPackHeader(
  { store, sealer }: { readonly store: Store; readonly sealer: Sealer },
  { name, sizeBytes }: StoredFile,
  options?: StoreOptions,
): Promise<BlobPlace[]> {
  const least = sealOverhead + lengthFieldBytes;
  if (sizeBytes < least) throw new AppError('integrity', 'It is too short');
  const readEnd = (length: number): Promise<Buffer> =>
    store.load('data', name, { offset: sizeBytes - length, length }, options);
  const guess = await readEnd(Math.min(sizeBytes, guessBytes));
  const length = guess.readUInt32LE(guess.length - lengthFieldBytes);
  if (length < sealOverhead || length > maxHeaderBytes || length + lengthFieldBytes > sizeBytes)
    throw new AppError('integrity', 'Its header has an impossible length');
  const end = length + lengthFieldBytes <= guess.length ? guess : await readEnd(length + lengthFieldBytes);
  const start = end.length - lengthFieldBytes - length;
  const blobs = decodePackHeader(sealer.openInPlace(end.subarray(start, start + length)));
  const last = blobs.at(-1);
  if (!last || last.offset + last.length !== sizeBytes - length - lengthFieldBytes)
    throw new AppError('integrity', 'Its header does not match its size');
  return blobs;
}

/** Reads the headers of some packs. */
export interface HeaderTask {
  readonly packs: readonly StoredFile[];
}

export type HeaderResult =
  | { readonly packId: string; readonly blobs: readonly BlobPlace[] }
  | { readonly packId: string; readonly message: string };

export interface HeaderTaskResult {
  readonly headers: readonly HeaderResult[];
}

/**
 * True for a fault of one file only. Any other error, such as a store that does not respond, ends the work:
 * it must not make anything count as lost.
 */
export function isOfThisFile({ code }: AppError): boolean {
  return code === 'integrity' || code === 'not-found' || code === 'failed';
}
