import { AppError, isAppError } from '../../model/errors.ts';
import { type IndexedPack, loadIndexFile } from '../blob-index/index-file.ts';
import type { FileCodec } from '../format/repository-file.ts';

export interface IndexFiles {
  readonly codec: FileCodec;
  /** Their names. */
  readonly indexFiles: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Reads the named index files one after the other, so that one of them is in memory at a time. One that is damaged or gone ends it. */
export async function* readIndexFiles({
  codec,
  indexFiles,
  signal,
}: IndexFiles): AsyncGenerator<{ name: string; packs: readonly IndexedPack[] }> {
  for (const name of indexFiles) {
    if (signal?.aborted) throw new AppError('cancelled', 'The work was stopped');
    yield { name, packs: await load(codec, name, signal) };
  }
}

async function load(codec: FileCodec, name: string, signal: AbortSignal | undefined): Promise<IndexedPack[]> {
  try {
    return await loadIndexFile(codec, name, { signal });
  } catch (error) {
    // Whoever holds the repository for himself alone finds all that he has listed.
    if (!isAppError(error, 'not-found')) throw error;
    throw new AppError('conflict', `Index file "${name.slice(0, 8)}" vanished while it was needed`, {
      hint: 'Another program works in the repository without a lock. Find it before you run this again.',
      cause: error,
    });
  }
}
