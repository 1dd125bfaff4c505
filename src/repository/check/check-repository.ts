import { availableParallelism } from 'node:os';
import { WorkerPool } from '../../lib/worker-pool.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { type BlobIndex, loadBlobIndex } from '../blob-index/blob-index.ts';
import { decodeTree, type TreeNode } from '../format/node.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { BlobReader } from '../read/blob-reader.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import type { SaveContext } from '../save/save-snapshot.ts';
import type { CheckOptions, CheckReport } from '../types.ts';
import type { CheckTask, CheckTaskResult } from './check-worker.ts';

/** Says whether every snapshot can be restored: from the index and the trees, and with `readDataPercent` from the packs' bytes. */
export async function checkRepository(
  context: Omit<SaveContext, 'index'>,
  options: CheckOptions,
): Promise<CheckReport> {
  const errors: string[] = [];
  const notes: string[] = [];
  const { signal } = options;
  const index = await loadBlobIndex(context.codec, {
    signal,
    onDamaged: (_, error) => errors.push(error.message),
  });
  const stored = await context.codec.store.list('data', { signal });
  const badPacks = comparePacks(index, stored, { errors, notes });
  const bytesRead = await readPacks(context, { index, badPacks, errors, options });
  const { snapshots, damagedSnapshots } = await checkSnapshots(context, { index, badPacks, errors, options });
  return {
    snapshots,
    packs: index.packs.length,
    blobs: index.blobCount,
    bytesRead,
    errors,
    notes,
    damagedSnapshots,
  };
}

interface Findings {
  readonly errors: string[];
  readonly notes: string[];
}

/** Compares the packs that the index names with those that are there. Returns the ids of those that can't be right. */
function comparePacks(
  index: BlobIndex,
  stored: readonly { readonly name: string; readonly sizeBytes: number }[],
  { errors, notes }: Findings,
): Set<string> {
  const sizes = new Map(stored.map(({ name, sizeBytes }) => [name, sizeBytes]));
  const bad = new Set<string>();
  for (const { id, sizeBytes } of index.packs) {
    const size = sizes.get(id);
    if (size === sizeBytes) continue;
    bad.add(id);
    const problem = size === undefined ? 'is missing' : `has ${size} bytes where ${sizeBytes} are expected`;
    errors.push(`Pack "${id.slice(0, 8)}" ${problem}`);
  }
  const known = new Set(index.packs.map(({ id }) => id));
  const extra = stored.filter(({ name }) => !known.has(name)).length;
  if (extra > 0) notes.push(`${extra} packs are in no index: leftovers of an interrupted backup, harmless`);
  return bad;
}

interface CheckParts {
  readonly index: BlobIndex;
  readonly badPacks: Set<string>;
  readonly errors: string[];
  readonly options: CheckOptions;
}

/** Reads a share of the packs, spread evenly, and returns how many bytes it read. */
async function readPacks(context: Omit<SaveContext, 'index'>, parts: CheckParts): Promise<number> {
  const { index, badPacks, errors, options } = parts;
  const present = index.packs
    .filter(({ id }) => !badPacks.has(id))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const chosen = present.slice(0, Math.ceil((present.length * options.readDataPercent) / 100));
  if (chosen.length === 0) return 0;
  const workers = Math.max(1, Math.min(8, availableParallelism(), chosen.length));
  await using pool = new WorkerPool<CheckTask, CheckTaskResult>({
    module: new URL(
      import.meta.url.endsWith('.ts') ? './check-worker.ts' : './check-worker.js',
      import.meta.url,
    ),
    workers,
    workerData: { store: context.address, masterKey: context.masterKey } satisfies RestoreWorkerData,
  });
  const bytesTotal = chosen.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let bytesRead = 0;
  let packsRead = 0;
  const queue = chosen.values();
  const readNext = async (): Promise<void> => {
    for (const pack of queue) {
      throwIfAborted(options);
      const result = await pool.run({ packId: pack.id });
      const found = [...result.errors, ...indexErrors(index, pack.id, result)];
      if (found.length > 0) badPacks.add(pack.id);
      errors.push(...found);
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

/** The index must say of a pack what its own header says. */
function indexErrors(index: BlobIndex, packId: string, { blobs, errors }: CheckTaskResult): string[] {
  if (errors.length > 0) return [];
  const name = packId.slice(0, 8);
  const expected = index.packs.find(({ id }) => id === packId)?.blobCount;
  if (expected !== blobs.length)
    return [`The index says that pack "${name}" holds ${expected} blobs, and it holds ${blobs.length}`];
  return blobs
    .filter((blob) => {
      const place = index.find(blob.id, blob.type);
      // A blob that is stored twice has its first place in the index.
      return (
        !place || (place.packId === packId && (place.offset !== blob.offset || place.length !== blob.length))
      );
    })
    .map((blob) => `The index does not agree with pack "${name}" about blob "${blob.id.slice(0, 8)}"`);
}

async function checkSnapshots(
  context: Omit<SaveContext, 'index'>,
  parts: CheckParts,
): Promise<{ snapshots: number; damagedSnapshots: string[] }> {
  const { errors, options } = parts;
  const files = await context.codec.store.list('snapshots', options);
  const trees = new TreeChecker(new BlobReader(context.codec, parts.index), parts);
  const damagedSnapshots: string[] = [];
  for (const [i, { name }] of files.entries()) {
    throwIfAborted(options);
    try {
      const { tree } = await loadSnapshot(context.codec, name);
      if (!(await trees.isWhole(tree, `snapshot "${name.slice(0, 8)}"`))) damagedSnapshots.push(name);
    } catch (error) {
      if (!isAppError(error)) throw error;
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
  return { snapshots: files.length, damagedSnapshots };
}

/** Checks trees, each once. */
class TreeChecker {
  readonly #reader: BlobReader;
  readonly #parts: CheckParts;
  readonly #known = new Map<string, boolean>();

  constructor(reader: BlobReader, parts: CheckParts) {
    this.#reader = reader;
    this.#parts = parts;
  }

  async isWhole(tree: string, where: string): Promise<boolean> {
    const known = this.#known.get(tree);
    if (known !== undefined) return known;
    throwIfAborted(this.#parts.options);
    let whole = true;
    for (const node of await this.#load(tree, where)) {
      const at = `${where}, "${node.name}"`;
      if (!this.#hasContent(node, at)) whole = false;
      if (node.subtree !== undefined && !(await this.isWhole(node.subtree, at))) whole = false;
    }
    whole &&= !this.#broken.has(tree);
    this.#known.set(tree, whole);
    return whole;
  }

  readonly #broken = new Set<string>();

  async #load(tree: string, where: string): Promise<TreeNode[]> {
    try {
      return decodeTree(await this.#reader.read(tree, 'tree'));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#parts.errors.push(`${error.message} (the tree of ${where})`);
      this.#broken.add(tree);
      return [];
    }
  }

  #hasContent(node: TreeNode, where: string): boolean {
    const { index, badPacks, errors } = this.#parts;
    if (node.type === 'dir' && node.subtree === undefined) {
      errors.push(`A directory has no tree: ${where}`);
      return false;
    }
    const lost = node.content.filter((id) => {
      const place = index.find(id, 'data');
      return !place || badPacks.has(place.packId);
    });
    if (lost.length > 0) errors.push(`${lost.length} of ${node.content.length} blobs are lost: ${where}`);
    return lost.length === 0;
  }
}

function throwIfAborted({ signal }: CheckOptions): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The check was stopped');
}
