import { readUserNames, type UserNames } from '../../lib/user-names.ts';
import { type ByteString, toPrintable, toText } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import type { Grade, SnapshotSummary } from '../../model/snapshot.ts';
import { version } from '../../lib/version.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { TreeNode } from '../format/node.ts';
import type { FileCodec } from '../format/repository-file.ts';
import {
  loadSnapshot,
  saveSnapshot as saveSnapshotFile,
  type SnapshotJson,
  snapshotOf,
} from '../format/snapshot-file.ts';
import type { RepositoryLock } from '../lock.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { findNode } from '../read/find-node.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import type { SaveOptions, SaveResult } from '../types.ts';
import { DirectorySaver } from './directory-saver.ts';
import { PackRecorder } from './pack-recorder.ts';
import { ParentTrees } from './parent-trees.ts';
import { dataParts, descriptionNode, directoryNode, plainDirectoryNode, saveRootTree } from './root-tree.ts';
import { assertDumpsThere, saveDumpFolder } from './save-dump.ts';
import { SaveScheduler } from './save-scheduler.ts';
import { SaveTally } from './save-tally.ts';
import { StreamSaver } from './stream-saver.ts';

/** What saving needs to know of an open repository. */
export interface SaveContext {
  readonly codec: FileCodec;
  readonly index: BlobIndex;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  readonly polynomial: bigint;
}

interface Saved {
  readonly tree: string;
  readonly summary: SnapshotSummary;
}

/** Saves a source as a snapshot: packs, then the index that names them, then the snapshot; each durable before the next. */
export async function saveSnapshot(
  context: SaveContext & { readonly lock: Pick<RepositoryLock, 'assertHeld'> },
  options: SaveOptions,
): Promise<SaveResult> {
  const started = performance.now();
  const expected = options.parent?.summary;
  const tally = new SaveTally(
    options.onProgress,
    expected && { files: expected.files, bytes: expected.bytes },
  );
  const recorder = new PackRecorder(context.codec, context.lock);
  await using scheduler = new SaveScheduler({
    workerData: {
      store: context.address,
      masterKey: context.masterKey,
      polynomial: context.polynomial,
      dryRun: options.dryRun ?? false,
    },
    tables: context.index.tables,
    onPack: (pack) => recorder.add(pack),
    signal: options.signal,
  });
  assertDumpsThere(context.index, options.dumps ?? []);
  const { tree, summary } = await keepOnFailure(recorder, scheduler, async (): Promise<Saved> => {
    const root = await saveTrees(context, options, { scheduler, tally });
    throwIfCancelled(options);
    await scheduler.flush();
    return { tree: root, summary: tally.summary(scheduler, Math.round(performance.now() - started)) };
  });
  const seen = tally.problems.map((problem) => ({ ...problem, path: toPrintable(problem.path) }));
  const problems = [...seen, ...(options.lost ?? [])];
  if (options.dryRun) return { snapshot: undefined, summary, problems };
  await recorder.finish();
  const grade = typeof options.grade === 'function' ? await options.grade() : options.grade;
  const json = describe(options, { grade, tree, summary, problemCount: problems.length });
  throwIfCancelled(options);
  await context.lock.assertHeld();
  const id = await saveSnapshotFile(context.codec, json);
  return { snapshot: snapshotOf(id, json), summary, problems };
}

/** The walk may be over before anybody cancels. */
function throwIfCancelled({ signal }: SaveOptions): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The backup was stopped');
}

/** After a cancel or a failure, indexes what is stored already, so that the next run goes on from it. */
async function keepOnFailure<T>(
  recorder: PackRecorder,
  scheduler: SaveScheduler,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The error that ended the backup is what the user must hear; this is a courtesy to the next run.
    if (isAppError(error, 'cancelled')) await scheduler.flush().catch(() => undefined);
    await recorder.finish().catch(() => undefined);
    throw error;
  }
}

interface Tools {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
}

async function saveTrees(context: SaveContext, options: SaveOptions, tools: Tools): Promise<string> {
  const { scheduler } = tools;
  const parts = dataParts(options.volume);
  const names = readUserNames();
  const { dataTree, dataNode } = await saveData(context, options, { ...tools, parts, names });
  tools.tally.countDirectory();
  const text = Buffer.from(`${JSON.stringify(options.volume, undefined, 2)}\n`);
  const dataName = parts.at(-1) ?? '';
  const beside: TreeNode[] =
    options.volume.kind === 'path' ? [] : [await saveDescription(scheduler, dataName, text)];
  const nodeAbove = (above: readonly ByteString[]): TreeNode =>
    options.volume.kind === 'path' ? directoryNode(`/${above.join('/')}`, names) : plainDirectoryNode;
  const saveTree = (tree: Uint8Array): Promise<string> => scheduler.saveTree(tree);
  const { dumps = [] } = options;
  if (dumps.length > 0) beside.push(await saveDumpFolder({ dumps, dataName, saveTree }));
  return await saveRootTree({ parts, dataNode, saveTree, nodeAbove, beside }, dataTree);
}

async function saveDescription(scheduler: SaveScheduler, name: ByteString, text: Buffer): Promise<TreeNode> {
  const id = await scheduler.saveBlob(text, 'data');
  return descriptionNode(name, { id, size: text.length });
}

interface DataTools extends Tools {
  readonly parts: readonly ByteString[];
  readonly names: UserNames;
}

async function saveData(
  context: SaveContext,
  { source, parent, isExcluded }: SaveOptions,
  { scheduler, tally, parts, names }: DataTools,
): Promise<{ dataTree: string; dataNode: TreeNode }> {
  const reader = new BlobReader(context.codec, context.index);
  const parents = parent && new ParentTrees(reader, context.index, Date.parse(parent.time));
  const parentTreeId = parent && (await findParentTree(context, reader, { id: parent.id, parts }));
  if (source.kind === 'entries') {
    const { polynomial } = context;
    const { entries, readTimes } = source;
    const options = { scheduler, tally, polynomial, isExcluded, readTimes, parents, parentTreeId };
    return await new StreamSaver(options).save(entries);
  }
  const saver = new DirectorySaver({ scheduler, tally, parents, names, isExcluded });
  const dataNode = directoryNode(source.root, names);
  return { dataTree: await saver.save(source.root, parentTreeId), dataNode };
}

/** The tree of the data in the parent snapshot. A parent that is damaged or gone is no parent, and no error. */
async function findParentTree(
  context: SaveContext,
  reader: BlobReader,
  parent: { readonly id: string; readonly parts: readonly ByteString[] },
): Promise<string | undefined> {
  try {
    const json = await loadSnapshot(context.codec, parent.id);
    const node = await findNode(reader, json.tree, parent.parts);
    return node?.subtree;
  } catch (error) {
    if (isAppError(error, 'integrity') || isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}

function describe(
  options: SaveOptions,
  saved: Saved & { readonly problemCount: number; readonly grade: Grade },
): SnapshotJson {
  const { summary } = saved;
  const dataPath = `/${dataParts(options.volume).join('/')}`;
  return {
    time: new Date(options.timeMs).toISOString(),
    ...(options.parent && { parent: options.parent.id }),
    tree: saved.tree,
    paths: [toText(dataPath)],
    hostname: options.hostname,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    ...(options.excludePatterns.length > 0 && { excludes: options.excludePatterns }),
    ...(options.tags.length > 0 && { tags: options.tags }),
    program_version: `holdfast ${version}`,
    summary: {
      backup_start: new Date(options.timeMs).toISOString(),
      backup_end: new Date(options.timeMs + summary.durationMs).toISOString(),
      files_new: summary.filesNew,
      files_changed: summary.filesChanged,
      files_unmodified: summary.filesUnmodified,
      data_added: summary.bytesAdded,
      data_added_packed: summary.bytesStored,
      total_files_processed: summary.files,
      total_bytes_processed: summary.bytes,
    },
    holdfast: {
      format: 1,
      dataPath: toText(dataPath),
      grade: saved.grade,
      problemCount: saved.problemCount,
      ...(options.limits && options.limits.length > 0 && { limits: options.limits }),
      ...(options.dumps &&
        options.dumps.length > 0 && { dumps: options.dumps.map(({ name, size }) => ({ name, size })) }),
      directories: summary.directories,
      others: summary.others,
      volume: options.volume,
    },
  };
}
