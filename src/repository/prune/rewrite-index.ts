import { AppError } from '../../model/errors.ts';
import { blobsPerIndexFile, saveIndexFile } from '../blob-index/index-file.ts';
import { IndexWriter } from './index-writer.ts';
import type { PruneWork } from './prune-work.ts';
import { readIndexFiles } from './read-index-files.ts';

/**
 * Writes new index files for all that is to be forgotten of the old ones, and returns the names of those that are no
 * longer needed. They are still there: until they are removed, both say where everything is.
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

/** Each backup leaves a small index file: when they are many, or others are rewritten anyway, they become one. */
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
 * Reads the index as it will be, once the replaced files are gone, back from the store, and makes sure that every blob
 * which a snapshot needs is in it. Throws before anything is removed.
 */
export async function proveNewIndex(
  work: PruneWork,
  { doomed, replaced }: { readonly doomed: ReadonlySet<string>; readonly replaced: readonly string[] },
): Promise<void> {
  const gone = new Set(replaced);
  // Past the cache, which keeps what was written as it was written.
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
