import { awaitedLater } from '../../lib/awaited-later.ts';
import { toPrintable } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { knownError } from '../../lib/known-error.ts';
import { quote } from '../../model/quote.ts';
import { saveSnapshot, snapshotOf } from '../format/snapshot-file.ts';
import { collectGarbage } from '../lib/collect-garbage.ts';
import type { WorkOptions } from '../requests.ts';
import { CleanedFilesystems } from './clean-pages.ts';
import { DataSave } from './data-save.ts';
import { EarlyClones } from './early-clones.ts';
import { PackRecorder } from './pack-recorder.ts';
import { assertDumpsThere } from './save-dump.ts';
import { type LockedContext, openScheduler, type SaveScheduler } from './save-scheduler.ts';
import type {
  FinalPassOptions,
  GradedTree,
  SaveOptions,
  SaveResult,
  SaveSession,
  SaveSessionOptions,
  SavedTree,
  TreeToSave,
} from './save-types.ts';
import { recordOf, saveTrees, type SnapshotRecord } from './snapshot-record.ts';
import { watchStore } from './watch-store.ts';

/** The lock that the session holds until its end. */
type SaveContext = LockedContext & { readonly lock: AsyncDisposable };

/** Saves one tree that need not be kept still. */
export async function saveAlone(
  context: SaveContext,
  { grade, ...options }: SaveOptions,
): Promise<SaveResult> {
  await using session = await beginSave(context, [options], options);
  await session.finalPass();
  await session.storeData();
  const [result] = await session.finish([{ grade }]);
  if (result === undefined) throw new AppError('failed', 'Nothing was saved');
  return result;
}

/** The session disposes the lock; this function does so when it throws. */
export async function beginSave(
  context: SaveContext,
  trees: readonly TreeToSave[],
  options: SaveSessionOptions,
): Promise<SaveSession> {
  await using opened = new AsyncDisposableStack();
  opened.use(context.lock);
  const session = opened.use(new ResticSaveSession(context, trees, options));
  await session.prepare();
  opened.move();
  return session;
}

class ResticSaveSession implements SaveSession {
  readonly #context: SaveContext;
  readonly #options: SaveSessionOptions;
  readonly #recorder: PackRecorder;
  readonly #scheduler: SaveScheduler;
  readonly #works: readonly DataSave[];
  /** The errors of trees whose own data cannot be read. */
  readonly #errors = new Map<DataSave, AppError>();
  #firstError: unknown;
  readonly #treeIds = new Map<DataSave, string>();
  readonly #began = performance.now();
  #durationMs = 0;
  #timeMs: number | undefined;
  #cleaned = new CleanedFilesystems();
  #early = new EarlyClones();
  /** Resolves when the clones of the last pass may be read. */
  #released: PromiseWithResolvers<void> | undefined;
  #isFinished = false;
  #isDisposed = false;

  constructor(context: SaveContext, trees: readonly TreeToSave[], options: SaveSessionOptions) {
    const { signal, dryRun = false, onProgress } = options;
    this.#context = context;
    this.#options = options;
    this.#recorder = new PackRecorder(context.codec, context.lock);
    const onPack: PackRecorder['add'] = (pack) => this.#recorder.add(pack);
    this.#scheduler = openScheduler(context, { dryRun, onPack, signal });
    const work = { scheduler: this.#scheduler, dryRun, signal, onProgress };
    this.#works = trees.map((tree) => new DataSave(context, tree, work));
  }

  async prepare(): Promise<void> {
    for (const { tree } of this.#works) assertDumpsThere(this.#context.index, tree.dumps ?? []);
    for (const work of this.#works) await work.prepare();
  }

  async livePass(maxStillMs: number | undefined): Promise<{ readonly tookMs: number }> {
    const { clones = false, signal } = this.#options;
    if (this.#released !== undefined) {
      this.#endPass();
      await this.#each((work) => work.takeForLive());
    }
    const fitsMs = fits(maxStillMs, clones);
    await this.#each((work) => work.goThroughLive(fitsMs));
    this.#cleaned = new CleanedFilesystems();
    this.#early = new EarlyClones();
    if (clones) await this.#each((work) => work.cloneEarly(this.#early, signal));
    // Before containers are stopped: the store may be far away, or not answer.
    await this.#scheduler.drain();
    return { tookMs: this.#readable.reduce((sum, work) => sum + work.lastPassMs, 0) };
  }

  async prepareFinalPass(): Promise<void> {
    for (const work of this.#readable) work.bringToHand();
    collectGarbage();
    await this.#each((work) => work.cleanPages(this.#cleaned));
  }

  async finalPass({ timeMs, cutAtMs, onStall, mayRepeat = false }: FinalPassOptions = {}): Promise<{
    readonly late: number;
  }> {
    this.#timeMs = timeMs;
    const released = Promise.withResolvers<void>();
    awaitedLater(released.promise);
    this.#released = released;
    const { cleaned, early } = { cleaned: this.#cleaned, early: this.#early };
    const clones = this.#options.clones === true ? { released: released.promise, early } : undefined;
    const stillSinceMs = timeMs === undefined ? undefined : Date.now();
    using _watch = onStall && watchStore(this.#scheduler, onStall);
    await this.#each((work) => work.saveStill({ clones, cleaned, stillSinceMs, cutAtMs, mayRepeat }));
    return { late: this.#readable.reduce((sum, { tally }) => sum + tally.late, 0) };
  }

  async storeData(): Promise<SavedTree[]> {
    this.#endPass();
    await this.#each(async (work) => {
      this.#treeIds.set(work, await work.measured(() => saveTrees(work, this.#scheduler)));
    });
    throwIfCancelled(this.#options);
    await this.#scheduler.flush();
    this.#durationMs = Math.round(performance.now() - this.#began);
    if (this.#options.dryRun !== true) await this.#recorder.finish();
    return this.#works.map((work) => {
      const { inFlight, problems } = work;
      const written = work.tally.written === undefined ? undefined : toPrintable(work.tally.written);
      return { error: this.#errors.get(work), problems, written, inFlight };
    });
  }

  async finish(graded: readonly (GradedTree | undefined)[]): Promise<SaveResult[]> {
    const { dryRun = false } = this.#options;
    const missing = this.#works.filter((work) => this.#errors.has(work)).map(({ tree }) => tree.volume.name);
    const durationMs = this.#durationMs;
    const records = this.#works.map((work, i): SnapshotRecord => {
      const error = this.#errors.get(work);
      if (error !== undefined) {
        const summary = work.tally.summary(work.stored, durationMs);
        return { json: undefined, error, summary, problems: [] };
      }
      const [treeId, timeMs] = [this.#treeIds.get(work), this.#timeMs ?? work.tree.timeMs];
      if (treeId === undefined) throw new AppError('failed', 'The data was not stored');
      return recordOf({ work, treeId, timeMs, durationMs, missing, dryRun, graded: graded[i] });
    });
    throwIfCancelled(this.#options);
    if (!dryRun) await this.#context.lock.assertHeld();
    const results = await writeRecords(this.#context, records);
    this.#isFinished = true;
    await this[Symbol.asyncDispose]();
    return results;
  }

  /** Indexes what is already stored, if possible, so that the next run continues from it. */
  async [Symbol.asyncDispose](): Promise<void> {
    // An unread clone is an open file that keeps the old blocks allocated.
    this.#endPass(new AppError('cancelled', 'The backup has ended before its end'));
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await using _lock = this.#context.lock;
    await using scheduler = this.#scheduler;
    if (this.#isFinished) return;
    // The user must see the error that ended the backup; flushing here only saves work for the next run.
    if (this.#options.signal?.aborted === true) await scheduler.flush().catch(() => undefined);
    await this.#recorder.finish().catch(() => undefined);
  }

  get #readable(): DataSave[] {
    return this.#works.filter((work) => !this.#errors.has(work));
  }

  /**
   * Runs a step for each tree. A tree whose own data cannot be read is left out from then on. Throws errors
   * that are not one tree's fault, and the first error when no tree can be read.
   */
  async #each(step: (work: DataSave) => Promise<void>): Promise<void> {
    for (const work of this.#readable) {
      try {
        await step(work);
      } catch (error) {
        const { signal } = this.#options;
        const isOfAll = this.#scheduler.failure !== undefined || signal?.aborted === true;
        if (isOfAll || isAppError(error, 'cancelled')) throw error;
        this.#firstError ??= error;
        this.#errors.set(work, knownError(error, `Cannot read ${quote(work.tree.volume.name)}`));
        if (this.#readable.length === 0) throw this.#firstError;
      }
    }
  }

  /** The containers run again by now: closing clones takes time. */
  #endPass(error?: AppError): void {
    if (error === undefined) this.#released?.resolve();
    else this.#released?.reject(error);
    this.#early[Symbol.dispose]();
  }
}

/**
 * The remaining reading time, in milliseconds, at which live passes end. With clones, most is read after the
 * containers run again.
 */
function fits(maxStillMs = Infinity, clones: boolean): number {
  return clones
    ? Math.max(shortPassMs, Math.min(maxStillMs, 2 * shortPassMs))
    : Math.min(shortPassMs, maxStillMs);
}

const shortPassMs = 1500;

/**
 * Everything that could end the backup has succeeded: related records are written together, or removed again.
 */
async function writeRecords(
  { codec }: SaveContext,
  records: readonly SnapshotRecord[],
): Promise<SaveResult[]> {
  const results: SaveResult[] = [];
  try {
    for (const { json, ...rest } of records) {
      const id = json && (await saveSnapshot(codec, json));
      results.push({
        ...rest,
        snapshot: id === undefined || json === undefined ? undefined : snapshotOf(id, json),
      });
    }
    return results;
  } catch (error) {
    // The user must see the error that ended the backup.
    for (const { snapshot } of results)
      if (snapshot !== undefined) await codec.store.remove('snapshots', snapshot.id).catch(() => undefined);
    throw error;
  }
}

/** The walk may be over before the cancellation. */
function throwIfCancelled({ signal }: WorkOptions): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The backup was stopped');
}
