import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { AppError } from '../../model/errors.ts';
import { BlobIndex, loadBlobIndex, storedBytesPerBlob } from '../blob-index/blob-index.ts';
import { type IndexedPack, loadIndexFile } from '../blob-index/index-file.ts';
import type { CheckTask, CheckTaskResult } from '../check/check-worker.ts';
import { type FailedBlob, Transfer } from '../copy/transfer.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { LostBlob, PackRepairReport, RepairedPack } from '../requests.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import { PackRecorder } from '../save/pack-recorder.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import { isOfThisFile, readPackHeader } from './pack-headers.ts';
import { IndexRewriter, removeFiles, type RepairWork, tellProgress, throwIfStopped } from './repair-work.ts';

/**
 * Copies the intact blobs of damaged packs into new packs, removes the damaged packs from the index, and
 * deletes them last. A pack that the store fails to return is kept: a later read may succeed.
 */
export async function repairPacks(
  work: RepairWork,
  wanted: readonly string[] | 'damaged',
): Promise<PackRepairReport> {
  const stored = await work.codec.store.list('data', { signal: work.signal });
  const sizes = new Map(stored.map(({ name, sizeBytes }) => [name, sizeBytes]));
  const { packs } = await wholeIndex(work);
  const chosen =
    wanted === 'damaged'
      ? packs.map(({ id }) => id)
      : wholeIds(wanted, [...sizes.keys(), ...packs.map(({ id }) => id)]);
  const ids = await onlyDamaged(work, chosen, { sizes, packs });
  const { damaged, others, indexFiles } = await splitIndex(work, new Set(ids));
  await describePacks(work, damaged, { ids, sizes });
  const salvage = await salvagePacks(work, damaged, sizes);
  if (!work.dryRun) await replacePacks(work, { damaged, indexFiles, salvage });
  return {
    dryRun: work.dryRun,
    packs: salvage.packs.toSorted((a, b) => (a.packId < b.packId ? -1 : 1)),
    lostBlobs: lostBlobs(salvage, others),
    unknownPacks: ids.filter((id) => !damaged.has(id)),
    wholePacks: wanted === 'damaged' ? [] : chosen.filter((id) => !ids.includes(id)),
  };
}

interface KnownPacks {
  readonly sizes: ReadonlyMap<string, number>;
  readonly packs: BlobIndex['packs'];
}

/** Keeps the packs that are missing, differ in size from the index, or have wrong content. */
async function onlyDamaged(
  work: RepairWork,
  ids: readonly string[],
  { sizes, packs }: KnownPacks,
): Promise<string[]> {
  const expected = new Map(packs.map(({ id, sizeBytes }) => [id, sizeBytes]));
  const isOff = (id: string): boolean => sizes.get(id) !== (expected.get(id) ?? sizes.get(id));
  const read = await findDamagedPacks(
    work,
    ids.filter((id) => !isOff(id)),
  );
  return [...ids.filter(isOff), ...read];
}

async function wholeIndex(work: RepairWork): Promise<BlobIndex> {
  try {
    return await loadBlobIndex(work.codec, { signal: work.signal });
  } catch (error) {
    throw explainIndex(error);
  }
}

/** Only the index says where the blobs of a damaged pack are. */
function explainIndex(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'integrity') return error;
  return new AppError('integrity', error.message, {
    detail: 'Nothing was changed.',
    hint: 'Run "holdfast repair index" first, then this again.',
    cause: error,
  });
}

interface SplitIndex {
  /** The packs to repair, with their content according to the index. */
  readonly damaged: Map<string, readonly BlobPlace[]>;
  /** All other packs. */
  readonly others: BlobIndex;
  /** The index files that name any of these packs. */
  readonly indexFiles: readonly string[];
}

async function splitIndex(work: RepairWork, ids: ReadonlySet<string>): Promise<SplitIndex> {
  const damaged = new Map<string, readonly BlobPlace[]>();
  const files = await work.codec.store.list('index', { signal: work.signal });
  const others = new BlobIndex(files.reduce((sum, file) => sum + file.sizeBytes, 0) / storedBytesPerBlob);
  const indexFiles: string[] = [];
  for (const { name } of files) {
    throwIfStopped(work);
    const packs = await loadIndex(work, name);
    for (const pack of packs) {
      if (!ids.has(pack.id)) others.addPack(pack);
      else damaged.set(pack.id, united(damaged.get(pack.id) ?? [], pack.blobs));
    }
    if (packs.some(({ id }) => ids.has(id))) indexFiles.push(name);
  }
  return { damaged, others, indexFiles };
}

async function loadIndex(work: RepairWork, name: string): Promise<IndexedPack[]> {
  try {
    return await loadIndexFile(work.codec, name, { signal: work.signal });
  } catch (error) {
    throw explainIndex(error);
  }
}

function united(first: readonly BlobPlace[], second: readonly BlobPlace[]): readonly BlobPlace[] {
  const key = ({ id, type, offset, length }: BlobPlace): string => `${type} ${id} ${offset} ${length}`;
  return [...new Map([...first, ...second].map((blob) => [key(blob), blob])).values()];
}

/** Accepts prefixes, since messages show only the start of an id. */
function wholeIds(wanted: readonly string[], known: readonly string[]): string[] {
  const ids = wanted.map((start) => {
    const [id, other] = new Set(known.filter((one) => one.startsWith(start.toLowerCase())));
    if (id !== undefined && other === undefined) return id;
    if (id !== undefined)
      throw new AppError('usage', `Several packs begin with "${start}"`, { hint: 'Write more of the id.' });
    throw new AppError('not-found', `There is no pack "${start}"`, {
      hint: '"holdfast check --read-data" names the damaged ones, and --all-damaged takes all of them.',
    });
  });
  return [...new Set(ids)];
}

interface Wanted {
  readonly ids: readonly string[];
  readonly sizes: ReadonlyMap<string, number>;
}

/** Adds the content from the packs' own headers, where these can be read. */
async function describePacks(
  work: RepairWork,
  damaged: Map<string, readonly BlobPlace[]>,
  { ids, sizes }: Wanted,
): Promise<void> {
  for (const id of ids) {
    const sizeBytes = sizes.get(id);
    if (sizeBytes === undefined) continue;
    throwIfStopped(work);
    try {
      const blobs = await readPackHeader(work.codec, { name: id, sizeBytes }, { signal: work.signal });
      damaged.set(id, united(damaged.get(id) ?? [], blobs));
    } catch (error) {
      if (!(error instanceof AppError) || !isOfThisFile(error)) throw error;
    }
  }
}

interface Salvage {
  readonly packs: RepairedPack[];
  readonly saved: Set<string>;
  readonly failed: FailedBlob[];
}

async function salvagePacks(
  work: RepairWork,
  damaged: ReadonlyMap<string, readonly BlobPlace[]>,
  sizes: ReadonlyMap<string, number>,
): Promise<Salvage> {
  const recorder = new PackRecorder(work.codec, work.lock);
  const side = { store: work.address, masterKey: work.masterKey };
  await using transfer = new Transfer({
    source: side,
    target: side,
    dryRun: work.dryRun,
    onPack: (pack) => recorder.add(pack),
  });
  const salvage: Salvage = { packs: [], saved: new Set(), failed: [] };
  const queue = damaged.entries();
  const next = async (): Promise<void> => {
    for (const [packId, blobs] of queue) {
      throwIfStopped(work);
      await salvagePack(transfer, { packId, blobs, isStored: sizes.has(packId) }, salvage);
      tellProgress(work, { phase: 'saving what is whole', done: salvage.packs.length, total: damaged.size });
    }
  };
  await Promise.all(Array.from({ length: transfer.lanes }, next));
  await transfer.flush();
  await recorder.finish();
  return salvage;
}

interface PackToSave {
  readonly packId: string;
  readonly blobs: readonly BlobPlace[];
  readonly isStored: boolean;
}

async function salvagePack(
  transfer: Transfer,
  { packId, blobs, isStored }: PackToSave,
  { packs, saved, failed }: Salvage,
): Promise<void> {
  const missing = (blob: BlobPlace): FailedBlob => ({
    id: blob.id,
    type: blob.type,
    message: `Pack "${packId.slice(0, 8)}" is missing`,
    isDamaged: true,
  });
  const result = isStored ? await transfer.run(packId, blobs) : { copied: 0, failed: blobs.map(missing) };
  const lost = new Set(result.failed.map(blobKey));
  for (const blob of blobs) if (!lost.has(blobKey(blob))) saved.add(blobKey(blob));
  failed.push(...result.failed);
  const isUnreadable = result.failed.some(({ isDamaged }) => !isDamaged);
  packs.push({
    packId,
    state: isStored ? (isUnreadable ? 'unreadable' : 'damaged') : 'missing',
    blobs: blobs.length,
    savedBlobs: result.copied,
    message: result.failed[0]?.message,
  });
}

function blobKey({ id, type }: LostBlob): string {
  return `${type} ${id}`;
}

function lostBlobs({ saved, failed }: Salvage, others: BlobIndex): LostBlob[] {
  const lost = failed.filter((blob) => !saved.has(blobKey(blob)) && !others.has(blob.id, blob.type));
  const each = new Map(lost.map(({ id, type }) => [blobKey({ id, type }), { id, type }])).values();
  return [...each].sort((a, b) => (a.id < b.id ? -1 : 1));
}

interface Replacing extends Pick<SplitIndex, 'damaged' | 'indexFiles'> {
  readonly salvage: Salvage;
}

/**
 * The saved blobs are durable and indexed. The damaged packs leave the index first, and are deleted after
 * that.
 */
async function replacePacks(work: RepairWork, { damaged, indexFiles, salvage }: Replacing): Promise<void> {
  const rewriter = new IndexRewriter(work);
  for (const name of indexFiles)
    for (const pack of await loadIndex(work, name)) if (!damaged.has(pack.id)) await rewriter.add(pack);
  await rewriter.finish();
  await removeFiles(work, 'index', indexFiles);
  const removable = salvage.packs.filter(({ state }) => state === 'damaged').map(({ packId }) => packId);
  await removeFiles(work, 'data', removable);
}

/** Reads every byte of the packs, and returns the ids of the damaged ones. */
async function findDamagedPacks(work: RepairWork, packs: readonly string[]): Promise<string[]> {
  if (packs.length === 0) return [];
  const workers = Math.max(1, Math.min(8, availableParallelism(), packs.length));
  await using pool = new WorkerPool<CheckTask, CheckTaskResult>({
    module: workerModule('../check/check-worker', import.meta.url),
    workers,
    workerData: { store: work.address, masterKey: work.masterKey } satisfies RestoreWorkerData,
  });
  const damaged: string[] = [];
  let done = 0;
  let bytes = 0;
  const queue = packs.values();
  const readNext = async (): Promise<void> => {
    for (const id of queue) {
      throwIfStopped(work);
      const result = await pool.run({ packId: id });
      if (result.errors.length > 0) damaged.push(id);
      bytes += result.bytes;
      tellProgress(work, { phase: 'reading packs', done: ++done, total: packs.length, bytes });
    }
  };
  await Promise.all(Array.from({ length: workers * 2 }, readNext));
  return damaged;
}
