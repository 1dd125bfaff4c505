import { hash } from 'node:crypto';
import { isAppError } from '../../model/errors.ts';
import { type BlobIndex, loadBlobIndex } from '../blob-index/blob-index.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { BlobReader } from '../read/blob-reader.ts';
import type { SaveContext } from '../save/save-snapshot.ts';
import type { StoredFile } from '../stores/store.ts';
import type { CheckOptions, CheckReport } from '../types.ts';
import { throwIfStopped } from './check-stopped.ts';
import type { Losses } from './losses.ts';
import { readPacks } from './read-packs.ts';
import { TreeChecker } from './tree-checker.ts';

type CheckContext = Omit<SaveContext, 'index'>;

/** Says whether every snapshot can be restored: from the index and the trees, and with `readDataPercent` from the packs' bytes. */
export async function checkRepository(context: CheckContext, options: CheckOptions): Promise<CheckReport> {
  const errors: string[] = [];
  const notes: string[] = [];
  const losses: Losses = { packs: new Set(), blobs: new Set() };
  const { signal } = options;
  // Before the index: a backup that ends meanwhile must not seem to have lost what the index did not know yet.
  const files = await context.codec.store.list('snapshots', { signal });
  await checkKeys(context, errors, options);
  const index = await loadBlobIndex(context.codec, {
    signal,
    onDamaged: (_, error) => errors.push(error.message),
  });
  const isIndexWhole = errors.length === 0;
  const stored = await context.codec.store.list('data', { signal });
  const unknown = comparePacks(index, stored, { losses, errors });
  if (unknown > 0) {
    const meaning = isIndexWhole ? 'leftovers of an interrupted backup, harmless' : 'their index is damaged';
    notes.push(`${unknown} packs are in no index: ${meaning}`);
  }
  const workerData = { store: context.address, masterKey: context.masterKey };
  const bytesRead = await readPacks({ index, losses, errors, options, workerData });
  const damagedSnapshots = await checkSnapshots(context, files, { index, losses, errors, options });
  return {
    snapshots: files.length,
    packs: index.packs.length,
    blobs: index.blobCount,
    bytesRead,
    errors,
    notes,
    damagedSnapshots,
    wholeSnapshots: files.map(({ name }) => name).filter((name) => !damagedSnapshots.includes(name)),
  };
}

/** One key is enough to open a repository, so that the loss of another goes unnoticed. */
async function checkKeys({ codec }: CheckContext, errors: string[], options: CheckOptions): Promise<void> {
  for (const { name } of await codec.store.list('keys', options)) {
    try {
      if (hash('sha256', await codec.store.load('keys', name, undefined, options)) === name) continue;
      errors.push(`Key file "${name.slice(0, 8)}" is damaged: its password no longer opens the repository`);
    } catch (error) {
      if (!isAppError(error, 'not-found')) throw error;
    }
  }
}

/** Compares the packs that the index names with those that are there. Returns how many are in no index. */
function comparePacks(
  index: BlobIndex,
  stored: readonly StoredFile[],
  { losses, errors }: { readonly losses: Losses; readonly errors: string[] },
): number {
  const sizes = new Map(stored.map(({ name, sizeBytes }) => [name, sizeBytes]));
  for (const { id, sizeBytes } of index.packs) {
    const size = sizes.get(id);
    if (size === sizeBytes) continue;
    losses.packs.add(id);
    const problem = size === undefined ? 'is missing' : `has ${size} bytes where ${sizeBytes} are expected`;
    errors.push(`Pack "${id.slice(0, 8)}" ${problem}`);
  }
  const known = new Set(index.packs.map(({ id }) => id));
  return stored.filter(({ name }) => !known.has(name)).length;
}

interface SnapshotCheck {
  readonly index: BlobIndex;
  readonly losses: Losses;
  readonly errors: string[];
  readonly options: CheckOptions;
}

async function checkSnapshots(
  { codec }: CheckContext,
  files: readonly StoredFile[],
  { index, losses, errors, options }: SnapshotCheck,
): Promise<string[]> {
  const trees = new TreeChecker({ reader: new BlobReader(codec, index), index, losses, errors, options });
  const damagedSnapshots: string[] = [];
  for (const [i, { name }] of files.entries()) {
    throwIfStopped(options);
    try {
      const { tree } = await loadSnapshot(codec, name);
      if (!(await trees.isWhole(tree, name))) damagedSnapshots.push(name);
    } catch (error) {
      if (!isAppError(error) || error.code === 'cancelled') throw error;
      if (error.code === 'not-found') continue;
      errors.push(error.message);
      damagedSnapshots.push(name);
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
  return damagedSnapshots;
}
