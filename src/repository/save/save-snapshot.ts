import { type ByteString, toPrintable, toText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { Grade, GradeEvidence, SnapshotSummary } from '../../model/snapshot.ts';
import { collectGarbage } from '../lib/collect-garbage.ts';
import { version } from '../../lib/version.ts';
import type { TreeNode } from '../format/node.ts';
import { saveSnapshot as saveSnapshotFile, type SnapshotJson, snapshotOf } from '../format/snapshot-file.ts';
import type { SaveOptions, SaveResult, StillMoment } from '../types.ts';
import { CleanedFilesystems } from './clean-pages.ts';
import { DataSave } from './data-save.ts';
import type { DirectorySaverOptions } from './directory-saver.ts';
import { EarlyClones } from './early-clones.ts';
import { keepOnFailure, PackRecorder } from './pack-recorder.ts';
import { ReadableSaves } from './readable-saves.ts';
import { dataParts, descriptionNode, directoryNode, plainDirectoryNode, saveRootTree } from './root-tree.ts';
import { saveConfigFolder } from './config-folder.ts';
import { assertDumpsThere, saveDumpFolder } from './save-dump.ts';
import { type LockedContext, openScheduler, type SaveScheduler } from './save-scheduler.ts';
import { watchStore } from './watch-store.ts';

/** Saves a source as a snapshot: packs, then the index that names them, then the snapshot; each durable before the next. */
export async function saveSnapshot(context: LockedContext, options: SaveOptions): Promise<SaveResult> {
  const [result] = await saveSnapshots(context, [options]);
  if (result === undefined) throw new AppError('failed', 'Nothing was saved');
  return result;
}

/** Saves several, which may be still at the same moment. What cannot be read is left out, and the others are recorded together. */
export async function saveSnapshots(
  context: LockedContext,
  saves: readonly SaveOptions[],
  moment?: StillMoment,
): Promise<SaveResult[]> {
  const started = performance.now();
  const { signal, dryRun = false } = saves[0] ?? {};
  const recorder = new PackRecorder(context.codec, context.lock);
  await using scheduler = openScheduler(context, {
    dryRun,
    onPack: (pack) => recorder.add(pack),
    signal,
  });
  for (const { dumps = [] } of saves) assertDumpsThere(context.index, dumps);
  const isLive = moment?.liveFirst ?? false;
  const works = saves.map((options) => new DataSave(context, options, { scheduler, isLive }));
  const readable = new ReadableSaves(works, { scheduler, signal });
  const saved = new Map<DataSave, Saved>();
  await keepOnFailure(recorder, scheduler, async () => {
    const timeMs = await saveAllData(readable, moment, scheduler);
    await readable.each(async (work) => {
      const tree = await work.measured(() => saveTrees(work, scheduler));
      saved.set(work, { work, tree, timeMs: timeMs ?? work.options.timeMs });
    });
    throwIfCancelled({ signal });
    await scheduler.flush();
  });
  const durationMs = Math.round(performance.now() - started);
  if (!dryRun) await recorder.finish();
  const records: SnapshotRecord[] = [];
  const missing = readable.lost.map(({ options }) => options.volume.name);
  for (const work of works) {
    const one = saved.get(work);
    records.push(
      one === undefined
        ? lostRecord(work, readable.errorOf(work), durationMs)
        : await recordOf(one, { durationMs, dryRun, missing }),
    );
  }
  throwIfCancelled({ signal });
  if (!dryRun) await context.lock.assertHeld();
  return await writeRecords(context, records);
}

interface Saved {
  readonly work: DataSave;
  readonly tree: string;
  readonly timeMs: number;
}

/** Returns the moment of the snapshots, when it is another than when the backup began. */
async function saveAllData(
  readable: ReadableSaves,
  moment: StillMoment | undefined,
  scheduler: SaveScheduler,
): Promise<number | undefined> {
  const tries = moment?.liveFirst === true ? (moment.tries ?? 1) : 1;
  for (let left = tries - 1; ; left--) {
    for (const work of readable.left) await work.prepare();
    if (moment?.liveFirst === true) await readable.each((work) => work.goThroughLive(fitsMs(moment)));
    const timeMs = await saveOnceStill(readable, { moment, scheduler, mayRepeat: left > 0 });
    const isLate = moment?.cutAtMs?.() !== undefined && readable.left.some(({ tally }) => tally.late > 0);
    if (left === 0 || !(isLate || moment?.wasDisturbed?.() === true)) return timeMs;
    await readable.each((work) => work.takeForLive());
  }
}

/** With clones, what has changed is read when the containers run again. */
function fitsMs({ maxStillMs = Infinity, clones }: StillMoment): number {
  return clones
    ? Math.max(shortPassMs, Math.min(maxStillMs, 2 * shortPassMs))
    : Math.min(shortPassMs, maxStillMs);
}

/** What changes in so short a time is soon read. */
const shortPassMs = 1500;

interface OnceStill {
  readonly moment: StillMoment | undefined;
  readonly scheduler: SaveScheduler;
  /** True when it is made still once more, should it be let go before all is read. */
  readonly mayRepeat: boolean;
}

async function saveOnceStill(
  readable: ReadableSaves,
  { moment, scheduler, mayRepeat }: OnceStill,
): Promise<number | undefined> {
  const cleaned = new CleanedFilesystems();
  // Closed when nobody stands still any more.
  using early = new EarlyClones();
  if (moment?.clones === true) await readable.each((work) => work.cloneEarly(early));
  const { promise: released, resolve, reject } = Promise.withResolvers<void>();
  released.catch(() => undefined);
  try {
    const parts = { cleaned, clones: { released, early }, scheduler, mayRepeat };
    const timeMs = await saveStillData(readable, moment, parts);
    resolve();
    return timeMs;
  } catch (error) {
    // Nobody reads the clones any more: each is an open file, and holds on to what has changed since.
    reject(error);
    throw error;
  }
}

interface StillParts extends Pick<DirectorySaverOptions, 'clones'>, Omit<OnceStill, 'moment'> {
  readonly cleaned: CleanedFilesystems;
}

async function saveStillData(
  readable: ReadableSaves,
  moment: StillMoment | undefined,
  parts: StillParts,
): Promise<number | undefined> {
  const { cleaned, mayRepeat, scheduler } = parts;
  const cutAtMs = moment?.cutAtMs?.bind(moment);
  using watch = new DisposableStack();
  try {
    // What is on its way to the store is there before: it may be far away, or not answer.
    if (moment !== undefined) await scheduler.drain();
    const lastPassMs = readable.left.reduce((sum, work) => sum + work.lastPassMs, 0);
    const timeMs = await moment?.begin(
      async () => {
        for (const work of readable.left) work.bringToHand();
        collectGarbage();
        await readable.each((work) => work.cleanPages(cleaned));
      },
      moment.liveFirst ? lastPassMs : undefined,
    );
    watch.use(watchStore(scheduler, moment));
    const clones = moment?.clones === true ? parts.clones : undefined;
    const stillSinceMs = moment === undefined ? undefined : Date.now();
    await readable.each((work) => work.saveStill({ clones, cleaned, stillSinceMs, cutAtMs, mayRepeat }));
    return timeMs;
  } finally {
    await moment?.end();
  }
}

interface SnapshotRecord extends Omit<SaveResult, 'snapshot'> {
  /** Undefined for a dry run. */
  readonly json: SnapshotJson | undefined;
}

/** Everything that could still end the backup is behind us: what belongs together is written in one go, or removed again. */
async function writeRecords(
  { codec }: LockedContext,
  records: readonly SnapshotRecord[],
): Promise<SaveResult[]> {
  const results: SaveResult[] = [];
  try {
    for (const { json, ...rest } of records) {
      const id = json && (await saveSnapshotFile(codec, json));
      results.push({
        ...rest,
        snapshot: id === undefined || json === undefined ? undefined : snapshotOf(id, json),
      });
    }
    return results;
  } catch (error) {
    for (const { snapshot } of results)
      if (snapshot !== undefined) await codec.store.remove('snapshots', snapshot.id).catch(() => undefined);
    throw error;
  }
}

function lostRecord(work: DataSave, error: AppError | undefined, durationMs: number): SnapshotRecord {
  return { json: undefined, error, summary: work.tally.summary(work.stored, durationMs), problems: [] };
}

interface RecordFacts {
  readonly durationMs: number;
  readonly dryRun: boolean;
  /** Names of those that could not be read. */
  readonly missing: readonly string[];
}

async function recordOf(
  { work, tree, timeMs }: Saved,
  { durationMs, dryRun, missing }: RecordFacts,
): Promise<SnapshotRecord> {
  const { tally, options, inFlight } = work;
  const isEstimate = dryRun && options.source.kind === 'directory';
  const { bytes } = tally.read;
  const stored = isEstimate ? { addedBytes: bytes, storedBytes: bytes } : work.stored;
  const summary = tally.summary(stored, durationMs);
  const seen = tally.problems.map((problem) => ({ ...problem, path: toPrintable(problem.path) }));
  const { written } = tally;
  const problems = [...seen, ...(options.lost ?? [])];
  const { notKept } = work;
  if (dryRun) return { json: undefined, summary, problems, notKept };
  const grade =
    typeof options.grade === 'function'
      ? await options.grade({ problems, written: written && toPrintable(written), inFlight })
      : options.grade;
  const evidence = options.evidence?.(inFlight);
  const json = describe(options, {
    grade,
    evidence,
    tree,
    summary,
    problemCount: problems.length,
    timeMs,
    missing: [...(options.missing ?? []), ...missing],
  });
  return { json, summary, problems, notKept };
}

/** The walk may be over before anybody cancels. */
function throwIfCancelled({ signal }: Pick<SaveOptions, 'signal'>): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The backup was stopped');
}

async function saveTrees(work: DataSave, scheduler: SaveScheduler): Promise<string> {
  const { options, parts, names } = work;
  const { dataTree, dataNode } = await work.finish();
  work.tally.countDirectory();
  const text = Buffer.from(`${JSON.stringify(options.volume, undefined, 2)}\n`);
  const dataName = parts.at(-1) ?? '';
  const beside: TreeNode[] =
    options.volume.kind === 'path' ? [] : [await saveDescription(scheduler, dataName, text)];
  const nodeAbove = (above: readonly ByteString[]): TreeNode =>
    options.volume.kind === 'path' ? directoryNode(`/${above.join('/')}`, names) : plainDirectoryNode;
  const saveTree = (tree: Uint8Array): Promise<string> => scheduler.saveTree(tree);
  const { dumps = [] } = options;
  const { config, volume } = options;
  if (volume.kind === 'volume' && config !== undefined && config.files.length > 0) {
    const saveBlob = (content: Uint8Array): Promise<string> =>
      scheduler.saveBlob(Buffer.from(content), 'data');
    beside.push(
      await saveConfigFolder({ files: config.files, dataName, names: work.names, saveBlob, saveTree }),
    );
  }
  if (dumps.length > 0) beside.push(await saveDumpFolder({ dumps, dataName, saveTree }));
  return await saveRootTree({ parts, dataNode, saveTree, nodeAbove, beside }, dataTree);
}

async function saveDescription(scheduler: SaveScheduler, name: ByteString, text: Buffer): Promise<TreeNode> {
  const id = await scheduler.saveBlob(text, 'data');
  return descriptionNode(name, { id, size: text.length });
}

function describe(
  options: SaveOptions,
  saved: {
    readonly tree: string;
    readonly summary: SnapshotSummary;
    readonly problemCount: number;
    readonly grade: Grade;
    readonly evidence: GradeEvidence | undefined;
    readonly timeMs: number;
    readonly missing: readonly string[];
  },
): SnapshotJson {
  const { summary, evidence, missing } = saved;
  const dataPath = `/${dataParts(options.volume).join('/')}`;
  return {
    time: new Date(saved.timeMs).toISOString(),
    ...(options.parent && { parent: options.parent.id }),
    tree: saved.tree,
    paths: [options.volume.isFile === true ? options.volume.name : toText(dataPath)],
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
      ...(options.config && { config: options.config.record }),
      ...(evidence && { evidence }),
      ...(options.restorePoint !== undefined && { restorePoint: options.restorePoint }),
      ...(options.restorePoint !== undefined && missing.length > 0 && { missing }),
      ...(options.limits && options.limits.length > 0 && { limits: options.limits }),
      ...(options.dumps &&
        options.dumps.length > 0 && { dumps: options.dumps.map(({ name, size }) => ({ name, size })) }),
      directories: summary.directories,
      others: summary.others,
      volume: options.volume,
    },
  };
}
