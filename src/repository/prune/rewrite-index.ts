import { AppError, isAppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import {
  blobsPerIndexFile,
  type IndexedPack,
  loadIndexFile,
  saveIndexFile,
} from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import type { RepositoryLock } from '../lock.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import type { Progress } from '../types.ts';
import type { BlobMarks } from './blob-marks.ts';

/**
 * Writes new index files with the remaining entries of the old ones, and returns the names of those no longer
 * needed. These still exist: until they are removed, both versions are valid.
 */
export async function writeNewIndex(work: PruneWork, doomed: ReadonlySet<string>): Promise<string[]> {
  const replaced = await chooseIndexFiles(work, doomed);
  const writer = new IndexWriter(async (packs) => void (await saveIndexFile(work.codec, packs)));
  const written = new Set<string>();
  for await (const { packs } of readIndexFiles({ ...work, indexFiles: replaced })) {
    for (const pack of packs) {
      if (doomed.has(pack.id) || written.has(pack.id)) continue;
      written.add(pack.id);
      await writer.add(pack);
    }
  }
  await writer.finish();
  return replaced;
}

/**
 * Each backup leaves a small index file: when there are many, or others are rewritten anyway, they are
 * merged.
 */
const manySmallFiles = 16;

async function chooseIndexFiles(work: PruneWork, doomed: ReadonlySet<string>): Promise<string[]> {
  const stale: string[] = [];
  const small: string[] = [];
  for await (const { name, packs } of readIndexFiles(work)) {
    if (packs.length === 0 || packs.some(({ id }) => doomed.has(id))) stale.push(name);
    else if (packs.reduce((sum, { blobs }) => sum + blobs.length, 0) < blobsPerIndexFile / 2)
      small.push(name);
  }
  return stale.length > 0 || small.length >= manySmallFiles ? [...stale, ...small] : [];
}

/**
 * Reads back from the store the index as it will be after the removal, and checks that it has every blob that
 * a snapshot needs. Throws before anything is removed.
 */
export async function proveNewIndex(
  work: PruneWork,
  { doomed, replaced }: { readonly doomed: ReadonlySet<string>; readonly replaced: readonly string[] },
): Promise<void> {
  const gone = new Set(replaced);
  // Bypasses the cache, which holds what was sent, not what was stored.
  const { store } = work.codec;
  const codec = { ...work.codec, store: store.direct ?? store };
  const listed = await codec.store.list('index', { signal: work.signal });
  const indexFiles = listed.map(({ name }) => name).filter((name) => !gone.has(name));
  for await (const { packs } of readIndexFiles({ ...work, codec, indexFiles })) {
    for (const { id, blobs } of packs) {
      if (doomed.has(id)) throw brokenIndex(`it names pack "${id.slice(0, 8)}", which goes`);
      for (const blob of blobs) {
        const slot = work.index.slotOf(blob.id, blob.type);
        if (slot >= 0) work.marks.cover(slot);
      }
    }
  }
  const missing = work.marks.countUncovered();
  if (missing > 0) throw brokenIndex(`${missing} blobs are missing in it`);
}

function brokenIndex(detail: string): AppError {
  return new AppError('failed', 'The new index is not what it should be, so nothing was removed', {
    detail: `It was read back, and ${detail}.`,
    hint: 'Look for faults of the disk, and run "holdfast check".',
  });
}

/** Collects packs into index files of a good size; only those of one file are in memory. */
export class IndexWriter {
  readonly #save: (packs: readonly IndexedPack[]) => Promise<void>;
  #packs: IndexedPack[] = [];
  #blobs = 0;

  /** `save` writes one durable index file of packs. */
  constructor(save: (packs: readonly IndexedPack[]) => Promise<void>) {
    this.#save = save;
  }

  async add(pack: IndexedPack): Promise<void> {
    this.#packs.push(pack);
    this.#blobs += pack.blobs.length;
    if (this.#blobs >= blobsPerIndexFile) await this.finish();
  }

  /** On return every pack is in a durable index file. */
  async finish(): Promise<void> {
    const packs = this.#packs;
    if (packs.length === 0) return;
    this.#packs = [];
    this.#blobs = 0;
    await this.#save(packs);
  }
}

interface IndexFiles {
  readonly codec: FileCodec;
  /** The names of the files. */
  readonly indexFiles: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the named index files one after another, so that one at a time is in memory. A damaged or missing one
 * throws.
 */
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
    // Under an exclusive lock, every listed file still exists.
    if (!isAppError(error, 'not-found')) throw error;
    throw new AppError('conflict', `Index file "${name.slice(0, 8)}" vanished while it was needed`, {
      hint: 'Another program works in the repository without a lock. Find it before you run this again.',
      cause: error,
    });
  }
}

/** The shared state of a prune's steps. */
export interface PruneWork {
  readonly codec: FileCodec;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  /** Checked before each irreversible step. */
  readonly lock: Pick<RepositoryLock, 'assertHeld'>;
  /** The index files that existed at the beginning. */
  readonly indexFiles: readonly string[];
  readonly index: BlobIndex;
  readonly marks: BlobMarks;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}
