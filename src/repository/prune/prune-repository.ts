import { AppError, isAppError } from '../../model/errors.ts';
import { BlobIndex, storedBytesPerBlob } from '../blob-index/blob-index.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import type { PruneLimits } from '../requests.ts';
import type { FileType } from '../stores/store.ts';
import { BlobMarks } from './blob-marks.ts';
import { crawlTrees } from './crawl-trees.ts';
import { UsageCounter } from './pack-usage.ts';
import { planPrune, type PrunePlan } from './plan-prune.ts';
import { repack } from './repack.ts';
import { proveNewIndex, type PruneWork, readIndexFiles, writeNewIndex } from './rewrite-index.ts';

interface PreparedPrune {
  readonly work: PruneWork;
  readonly plan: PrunePlan;
}

/**
 * Finds what the snapshots need and decides what to remove; changes nothing. Throws when anything relevant is
 * damaged or missing: nothing may be deleted without knowing what is needed.
 */
export async function preparePrune(
  parts: Omit<PruneWork, 'index' | 'marks' | 'indexFiles'>,
  limits: PruneLimits,
): Promise<PreparedPrune> {
  const { codec, signal } = parts;
  // Packs are listed first: one that a backup stores afterwards must not be considered for removal.
  const stored = await codec.store.list('data', { signal });
  const { index, indexFiles } = await readWholeIndex(parts);
  const marks = new BlobMarks(index.slotCount);
  const work: PruneWork = { ...parts, index, marks, indexFiles };
  await markUsed(work);
  const counter = new UsageCounter(index, marks);
  for await (const { packs } of readIndexFiles(work)) for (const pack of packs) counter.add(pack);
  return { work, plan: planPrune({ packs: counter.finish(), stored }, limits) };
}

/**
 * Carries out a plan. A kill after any step leaves an intact repository: leftovers are removed first; used
 * blobs of the packs to repack are copied and indexed; index files without the removed packs are written and
 * read back; then the old index files are removed, and last the packs, which no index names any more.
 */
export async function applyPrune({ work, plan }: PreparedPrune): Promise<void> {
  const { codec, lock } = work;
  await lock.assertHeld();
  await codec.store.removeLeftovers?.({ signal: work.signal });
  await removeFiles(work, { type: 'data', names: plan.unreferenced, phase: 'removing leftovers' });
  await repack(work, new Set(plan.repack));
  const doomed = new Set([...plan.remove, ...plan.absent, ...plan.repack]);
  await lock.assertHeld();
  const replaced = await writeNewIndex(work, doomed);
  await proveNewIndex(work, { doomed, replaced });
  await removeFiles(work, { type: 'index', names: replaced, phase: 'removing old indexes' });
  await removeFiles(work, {
    type: 'data',
    names: [...plan.remove, ...plan.repack],
    phase: 'removing packs',
  });
}

async function readWholeIndex(
  parts: Pick<PruneWork, 'codec' | 'signal'>,
): Promise<{ index: BlobIndex; indexFiles: string[] }> {
  const files = await parts.codec.store.list('index', { signal: parts.signal });
  const indexFiles = files.map(({ name }) => name);
  const index = new BlobIndex(files.reduce((sum, file) => sum + file.sizeBytes, 0) / storedBytesPerBlob);
  for await (const { packs } of readIndexFiles({ ...parts, indexFiles }))
    for (const pack of packs) index.addPack(pack);
  return { index, indexFiles };
}

async function markUsed(work: PruneWork): Promise<void> {
  const { codec, index, marks, signal, onProgress } = work;
  const files = await codec.store.list('snapshots', { signal });
  let trees = 0;
  const onBatch = (count: number): void => {
    trees += count;
    onProgress?.({
      phase: 'finding what is used',
      filesDone: trees,
      filesTotal: undefined,
      bytesDone: 0,
      bytesTotal: undefined,
      current: undefined,
    });
  };
  const roots: string[] = [];
  for (const { name } of files) roots.push(await rootOf(work, name));
  const onTree = (slot: number): boolean => marks.use(slot);
  const onBlob = (slot: number): boolean => marks.use(slot);
  await explaining(() => crawlTrees(roots, { codec, index, signal, onTree, onBlob, onBatch }));
}

async function rootOf({ codec, signal }: PruneWork, name: string): Promise<string> {
  return await explaining(async () => (await loadSnapshot(codec, name, { signal })).tree);
}

/** The damaged part may be what shows that something is needed. */
async function explaining<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isAppError(error, 'integrity') && !isAppError(error, 'unsupported')) throw error;
    throw new AppError(error.code, `Cannot prune, because not all can be read: ${error.message}`, {
      detail: error.detail ?? 'Nothing was removed.',
      hint: 'Run "holdfast check", and repair the repository or forget the damaged snapshots first.',
      cause: error,
    });
  }
}

interface FilesToRemove {
  readonly type: FileType;
  readonly names: readonly string[];
  /** The phase shown with the progress. */
  readonly phase: string;
}

const atOnce = 16;

/** Removes files, a few at a time, as long as the lock is held. */
async function removeFiles(work: PruneWork, { type, names, phase }: FilesToRemove): Promise<void> {
  for (let done = 0; done < names.length; done += atOnce) {
    if (work.signal?.aborted) throw new AppError('cancelled', 'The prune was stopped');
    await work.lock.assertHeld();
    const some = names.slice(done, done + atOnce);
    await Promise.all(some.map((name) => work.codec.store.remove(type, name, { signal: work.signal })));
    work.onProgress?.({
      phase,
      filesDone: done + some.length,
      filesTotal: names.length,
      bytesDone: 0,
      bytesTotal: undefined,
      current: undefined,
    });
  }
}
