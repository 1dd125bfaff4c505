import type { Room } from '../lib/room.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import type { ByteRange, Store, StoreOptions } from '../stores/store.ts';

/** A part of a pack that the index names. When there is no such pack, that is damage. */
export async function loadPartOfPack(
  store: Store,
  packId: string,
  range: ByteRange,
  options?: StoreOptions & { readonly room?: Room },
): Promise<Buffer> {
  try {
    return await store.load('data', packId, range, options);
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
    throw new AppError('integrity', error.message, {
      hint: 'Run "holdfast check" to learn what else is missing.',
      cause: error,
    });
  }
}
