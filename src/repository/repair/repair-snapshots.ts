import { fromText } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { type BlobIndex, loadBlobIndex } from '../blob-index/blob-index.ts';
import {
  describedAgain,
  loadSnapshot,
  saveSnapshot,
  type SnapshotJson,
  snapshotOf,
} from '../format/snapshot-file.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { readDescription } from '../read/find-in-snapshot.ts';
import { encodeIndexEntry } from '../blob-index/index-file.ts';
import { BlobSaver } from '../save/blob-saver.ts';
import { PackRecorder } from '../save/pack-recorder.ts';
import { readPackHeader } from './pack-headers.ts';
import type { LostEntry, RepairedSnapshot, SnapshotRepairReport } from '../requests.ts';
import { type RepairWork, removeFiles, tellProgress, throwIfStopped } from './repair-work.ts';
import { TreeRepairer } from './tree-repairer.ts';

const repairedTag = 'repaired';

export interface SnapshotChoice {
  readonly snapshotIds: readonly string[] | undefined;
  readonly forget: boolean;
}

/** A damaged snapshot with what can be kept of it. */
interface Damaged {
  readonly id: string;
  readonly json: SnapshotJson;
  /** Undefined when its root is lost. */
  readonly tree: string | undefined;
  /** The replacement that an earlier repair made. */
  readonly madeBefore: string | undefined;
  readonly lost: readonly LostEntry[];
}

/**
 * Replaces damaged snapshots by new ones without the lost entries. The loss must be certain, so the index
 * must be intact and agree with the packs. Trees are durable before the records, and the old records are
 * removed last.
 */
export async function repairSnapshots(
  work: RepairWork,
  choice: SnapshotChoice,
): Promise<SnapshotRepairReport> {
  const index = await loadCertainIndex(work);
  const recorder = new PackRecorder(work.codec, work.lock);
  const saver = new BlobSaver({
    ...work.codec,
    tables: index.tables,
    dryRun: work.dryRun,
    packsUnderWay: 1,
    onPack: (pack) => recorder.add(encodeIndexEntry(pack)),
  });
  const reader = new BlobReader(work.codec, index);
  const repairer = new TreeRepairer({
    reader,
    hasContent: (id) => index.has(id, 'data'),
    signal: work.signal,
    async saveTree(text) {
      const id = saver.add(text, 'tree');
      if (saver.isFull) await saver.storeFull();
      return id;
    },
  });
  const { damaged, looked, unreadableRecords } = await findDamaged(work, choice, repairer);
  await saver.flush();
  await recorder.finish();
  const repaired: RepairedSnapshot[] = [];
  for (const one of damaged) repaired.push(await replace(work, { one, reader, forget: choice.forget }));
  if (choice.forget && !work.dryRun) await removeFiles(work, 'snapshots', unreadableRecords);
  return { dryRun: work.dryRun, snapshots: looked, repaired, unreadableRecords };
}

interface Found {
  readonly damaged: readonly Damaged[];
  readonly looked: number;
  readonly unreadableRecords: readonly string[];
}

async function findDamaged(
  work: RepairWork,
  { snapshotIds }: SnapshotChoice,
  repairer: TreeRepairer,
): Promise<Found> {
  const { records, unreadableRecords } = await loadRecords(work, snapshotIds);
  const madeBefore = new Map(
    [...records].map(([id, { original, tree }]) => [`${original ?? ''} ${tree}`, id] as const),
  );
  const wanted = [...records]
    .filter(([id]) => !snapshotIds || snapshotIds.includes(id))
    .sort(([, a], [, b]) => Date.parse(a.time) - Date.parse(b.time));
  const damaged: Damaged[] = [];
  for (const [i, [id, json]] of wanted.entries()) {
    throwIfStopped(work);
    tellProgress(work, { phase: 'looking at snapshots', done: i, total: wanted.length });
    const result = await repairer.repair(json.tree);
    const tree = result?.id;
    const lost = result ? result.lost : [{ path: '/', type: 'dir', size: 0 } as const];
    const original = json.original ?? id;
    if (lost.length > 0)
      damaged.push({ id, json, tree, lost, madeBefore: madeBefore.get(`${original} ${tree ?? ''}`) });
  }
  return { damaged, looked: wanted.length, unreadableRecords };
}

/** All readable records, and which of the requested ones cannot be read. */
async function loadRecords(
  work: RepairWork,
  wanted: readonly string[] | undefined,
): Promise<{ records: Map<string, SnapshotJson>; unreadableRecords: string[] }> {
  const records = new Map<string, SnapshotJson>();
  const unreadableRecords: string[] = [];
  for (const { name } of await work.codec.store.list('snapshots', { signal: work.signal })) {
    try {
      records.set(name, await loadSnapshot(work.codec, name, { signal: work.signal }));
    } catch (error) {
      if (!isAppError(error, 'integrity')) throw error;
      if (!wanted || wanted.includes(name)) unreadableRecords.push(name);
    }
  }
  return { records, unreadableRecords };
}

interface Replacement {
  readonly one: Damaged;
  readonly reader: BlobReader;
  readonly forget: boolean;
}

async function replace(work: RepairWork, { one, reader, forget }: Replacement): Promise<RepairedSnapshot> {
  const { id, json, tree, lost } = one;
  let newId = one.madeBefore;
  if (tree !== undefined && newId === undefined && !work.dryRun) {
    await work.lock?.assertHeld();
    newId = await saveSnapshot(work.codec, await describe(one, tree, reader));
    await loadSnapshot(work.codec, newId);
  }
  if (forget && !work.dryRun) await removeFiles(work, 'snapshots', [id]);
  const { name, time } = snapshotOf(id, json);
  return {
    id,
    name,
    time,
    newId,
    outcome: tree === undefined ? 'lost' : 'repaired',
    lost,
    forgotten: forget && !work.dryRun,
  };
}

/** The old record with the lost entries as problems, so that the snapshot is shown as partial. */
async function describe(
  { id, json, lost }: Damaged,
  tree: string,
  reader: BlobReader,
): Promise<SnapshotJson> {
  const own = json.holdfast ?? (await describeAgain(json, reader));
  const files = lost.filter(({ type }) => type === 'file');
  const lostBytes = files.reduce((sum, { size }) => sum + size, 0);
  return {
    ...json,
    tree,
    original: json.original ?? id,
    tags: [...new Set([...(json.tags ?? []), repairedTag])],
    ...(json.summary && {
      summary: {
        ...json.summary,
        total_files_processed: Math.max(0, json.summary.total_files_processed - files.length),
        total_bytes_processed: Math.max(0, json.summary.total_bytes_processed - lostBytes),
      },
    }),
    ...(own && { holdfast: { ...own, problemCount: own.problemCount + lost.length } }),
  };
}

/** A program that rewrote the record dropped our field; the tree has a copy of the important part. */
async function describeAgain(
  { tree, paths }: SnapshotJson,
  reader: BlobReader,
): Promise<ReturnType<typeof describedAgain> | undefined> {
  const [path = '', ...others] = paths;
  if (others.length > 0 || !path.startsWith('/volume/')) return undefined;
  const volume = await readDescription(reader, tree, fromText(path.slice('/volume/'.length)));
  return volume && describedAgain(path, volume);
}

/**
 * Data that only a damaged index file or an unknown pack describes is not lost: it must be found before
 * anything is given up.
 */
async function loadCertainIndex(work: RepairWork): Promise<BlobIndex> {
  const stored = await work.codec.store.list('data', { signal: work.signal });
  const sizes = new Map(stored.map(({ name, sizeBytes }) => [name, sizeBytes]));
  const index = await loadBlobIndex(work.codec, {
    signal: work.signal,
    // Another pack may hold the content of a missing pack too.
    takes: ({ id }) => sizes.has(id),
    onDamaged: (name) => {
      throw uncertain(`its index file "${name.slice(0, 8)}" is damaged`, 'repair index');
    },
  });
  const cut = index.packs.find(({ id, sizeBytes }) => sizes.get(id) !== sizeBytes);
  if (cut)
    throw uncertain(
      `pack "${cut.id.slice(0, 8)}" has not the size that it should have`,
      'repair packs --all-damaged',
    );
  for (const file of stored) {
    if (index.packNumber(file.name) !== undefined) continue;
    const blobs = await readPackHeader(work.codec, file, { signal: work.signal }).catch(orUndefined);
    // Leftovers of an interrupted backup do not matter, unless they hold something that is missing.
    if (blobs?.some((blob) => !index.has(blob.id, blob.type)))
      throw uncertain(`pack "${file.name.slice(0, 8)}" holds data that no index names`, 'repair index');
  }
  return index;
}

function orUndefined(error: unknown): undefined {
  if (!(error instanceof AppError) || error.code !== 'integrity') throw error;
}

function uncertain(reason: string, command: string): AppError {
  return new AppError('integrity', `What is lost cannot be told yet: ${reason}`, {
    detail: 'Nothing was changed.',
    hint: `Run "holdfast ${command}" first, then this again.`,
  });
}
