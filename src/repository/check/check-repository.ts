import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { type BlobIndex, loadBlobIndex, type PackRecord } from '../blob-index/blob-index.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { isStrictTime } from '../format/timestamp.ts';
import { loadKeys } from '../keys/key-store.ts';
import { isOutOfReach } from '../out-of-reach.ts';
import { BlobReader } from '../read/blob-reader.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import type { SaveContext } from '../save/save-scheduler.ts';
import type { StoredFile } from '../stores/store.ts';
import type { CheckOptions, CheckReport } from '../types.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import { type Losses, throwIfStopped, TreeChecker } from './tree-checker.ts';
import type { CheckTask, CheckTaskResult } from './check-worker.ts';

type CheckContext = Omit<SaveContext, 'index'>;

/**
 * Checks whether every snapshot can be restored: from the index and the trees, and with `readDataPercent`
 * from the packs' bytes.
 */
export async function checkRepository(context: CheckContext, options: CheckOptions): Promise<CheckReport> {
  const errors: string[] = [];
  const notes: string[] = [];
  const { signal } = options;
  // Listed before the index is loaded: otherwise a backup that finishes meanwhile would seem to have lost its
  // data.
  const files = chosenFiles(await context.codec.store.list('snapshots', { signal }), options.snapshotIds);
  if (options.snapshotIds === undefined) await checkKeys(context, errors, options);
  const index = await loadBlobIndex(context.codec, {
    signal,
    onDamaged: (_, error) => errors.push(error.message),
  });
  const isIndexWhole = errors.length === 0;
  const stored = await context.codec.store.list('data', { signal });
  const needed = options.snapshotIds === undefined ? undefined : new Set<string>();
  const losses: Losses = { packs: new Set(), blobs: new Set() };
  // Chosen snapshots are walked first to learn which packs they need; the result stands when these packs are
  // intact.
  const early = needed && (await checkSnapshots(context, files, { index, losses, options, needed }));
  const packs = needed === undefined ? index.packs : index.packs.filter(({ id }) => needed.has(id));
  comparePacks(packs, stored, { losses, errors });
  const unknown = needed === undefined ? countUnknown(index, stored) : 0;
  if (unknown > 0) {
    const meaning = isIndexWhole ? 'leftovers of an interrupted backup, harmless' : 'their index is damaged';
    notes.push(`${unknown === 1 ? '1 pack is' : `${unknown} packs are`} in no index: ${meaning}`);
  }
  const workerData = { store: context.address, masterKey: context.masterKey };
  const bytesRead = await readPacks({ index, packs, losses, errors, options, workerData });
  const isAnythingLost = losses.packs.size + losses.blobs.size > 0;
  const checked =
    early === undefined || isAnythingLost
      ? await checkSnapshots(context, files, { index, losses, options })
      : early;
  errors.push(...checked.errors);
  return {
    snapshots: checked.whole.length + checked.damaged.length,
    packs: packs.length,
    blobs: index.blobCount,
    bytesRead,
    packBytes: stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    errors,
    notes,
    damagedSnapshots: checked.damaged,
    wholeSnapshots: checked.whole,
  };
}

/** One key is enough to open a repository, so the loss of another goes unnoticed without this check. */
async function checkKeys({ codec }: CheckContext, errors: string[], options: CheckOptions): Promise<void> {
  for (const { id, file } of await loadKeys(codec.store, options)) {
    if (file !== undefined) continue;
    errors.push(`Key file "${id.slice(0, 8)}" is damaged: its password no longer opens the repository`);
  }
}

/** The requested snapshots, in the order of the request, which is also the order of the report. */
function chosenFiles(
  files: readonly StoredFile[],
  ids: readonly string[] | undefined,
): readonly StoredFile[] {
  if (ids === undefined) return files;
  const byName = new Map(files.map((file) => [file.name, file]));
  return ids.flatMap((id) => byName.get(id) ?? []);
}

/** Compares the packs that the index names with the stored ones. */
function comparePacks(
  packs: BlobIndex['packs'],
  stored: readonly StoredFile[],
  { losses, errors }: { readonly losses: Losses; readonly errors: string[] },
): void {
  const sizes = new Map(stored.map(({ name, sizeBytes }) => [name, sizeBytes]));
  for (const { id, sizeBytes } of packs) {
    const size = sizes.get(id);
    if (size === sizeBytes) continue;
    losses.packs.add(id);
    const problem = size === undefined ? 'is missing' : `has ${size} bytes where ${sizeBytes} are expected`;
    errors.push(`Pack "${id.slice(0, 8)}" ${problem}`);
  }
}

/** How many packs no index names. */
function countUnknown(index: BlobIndex, stored: readonly StoredFile[]): number {
  const known = new Set(index.packs.map(({ id }) => id));
  return stored.filter(({ name }) => !known.has(name)).length;
}

interface SnapshotCheck {
  readonly index: BlobIndex;
  readonly losses: Losses;
  readonly options: CheckOptions;
  /** Collects the packs that hold what files need. */
  readonly needed?: Set<string>;
}

/** Ids of snapshots, without those removed meanwhile. */
interface CheckedSnapshots {
  readonly whole: readonly string[];
  readonly damaged: readonly string[];
  readonly errors: readonly string[];
}

async function checkSnapshots(
  { codec }: CheckContext,
  files: readonly StoredFile[],
  { index, losses, options, needed }: SnapshotCheck,
): Promise<CheckedSnapshots> {
  const errors: string[] = [];
  const reader = new BlobReader(codec, index);
  const trees = new TreeChecker({ reader, index, losses, errors, options, packs: needed });
  const whole: string[] = [];
  const damaged: string[] = [];
  for (const [i, { name }] of files.entries()) {
    throwIfStopped(options);
    try {
      const { tree, time } = await loadSnapshot(codec, name);
      if (!isStrictTime(time))
        errors.push(`Snapshot "${name.slice(0, 8)}" has a time that is none: ${quote(time)}`);
      ((await trees.isWhole(tree, name)) ? whole : damaged).push(name);
    } catch (error) {
      if (!isAppError(error) || isOutOfReach(error)) throw error;
      if (error.code === 'not-found') continue;
      errors.push(error.message);
      damaged.push(name);
    }
    options.onProgress?.({
      phase: 'checking snapshots',
      filesDone: i + 1,
      filesTotal: files.length,
      bytesDone: 0,
      bytesTotal: undefined,
      current: undefined,
    });
  }
  return { whole, damaged, errors };
}

interface PackReading {
  readonly index: BlobIndex;
  /** The packs to choose from. */
  readonly packs: readonly PackRecord[];
  readonly losses: Losses;
  readonly errors: string[];
  readonly options: CheckOptions;
  readonly workerData: RestoreWorkerData;
}

/**
 * Reads a share of the packs, different ones each time, verifies every byte, and returns the number of bytes
 * read.
 */
async function readPacks(reading: PackReading): Promise<number> {
  const { index, packs, losses, errors, options, workerData } = reading;
  const present = packs.filter(({ id }) => !losses.packs.has(id));
  const chosen = sampleOf(present, Math.ceil((present.length * options.readDataPercent) / 100));
  if (chosen.length === 0) return 0;
  const workers = Math.max(1, Math.min(8, availableParallelism(), chosen.length));
  await using pool = new WorkerPool<CheckTask, CheckTaskResult>({
    module: workerModule('./check-worker', import.meta.url),
    workers,
    workerData,
  });
  const bytesTotal = chosen.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let bytesRead = 0;
  let packsRead = 0;
  const queue = chosen.values();
  const readNext = async (): Promise<void> => {
    for (const pack of queue) {
      throwIfStopped(options);
      const result = await pool.run({ packId: pack.id });
      const disagreements = result.errors.length > 0 ? [] : indexErrors(index, pack, result);
      if (result.isLost || disagreements.length > 0) losses.packs.add(pack.id);
      for (const id of result.damagedBlobs) losses.blobs.add(id);
      errors.push(...result.errors, ...disagreements);
      bytesRead += result.bytes;
      packsRead++;
      options.onProgress?.({
        phase: 'reading packs',
        filesDone: packsRead,
        filesTotal: chosen.length,
        bytesDone: bytesRead,
        bytesTotal,
        current: undefined,
      });
    }
  };
  await Promise.all(Array.from({ length: workers * 2 }, readNext));
  return bytesRead;
}

/** Random, so that checking a share every night covers everything in time. */
function sampleOf(packs: readonly PackRecord[], count: number): PackRecord[] {
  if (count >= packs.length) return [...packs];
  return packs
    .map((pack) => ({ pack, order: Math.random() }))
    .toSorted((a, b) => a.order - b.order)
    .slice(0, count)
    .map(({ pack }) => pack);
}

/** The index must agree with the pack's own header. */
function indexErrors(index: BlobIndex, pack: PackRecord, { blobs }: CheckTaskResult): string[] {
  const name = pack.id.slice(0, 8);
  if (pack.blobCount !== blobs.length)
    return [`The index says that pack "${name}" holds ${pack.blobCount} blobs, and it holds ${blobs.length}`];
  return blobs
    .filter((blob) => {
      const place = index.find(blob.id, blob.type);
      // The index gives the first place of a blob that is stored twice.
      return (
        !place || (place.packId === pack.id && (place.offset !== blob.offset || place.length !== blob.length))
      );
    })
    .map((blob) => `The index does not agree with pack "${name}" about blob "${blob.id.slice(0, 8)}"`);
}
