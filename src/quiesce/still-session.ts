import type { ContainerIdentity, Containers } from '../hosts/containers.ts';
import { errorInWords } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { JobOptions } from '../activity/index.ts';
import type { OpenAppJournal } from './app-journal.ts';
import type { Freezing } from './freeze/freezing.ts';
import type { AppStep, Unstoppable } from './plan-containers.ts';
import { type PutBackReport, putBack } from './put-back.ts';
import { noteRefusal } from './start-refusal.ts';

/** An app that did not exit when it was stopped: what it had not written yet is lost. */
export interface KilledApp {
  readonly name: string;
  /** How long the stop took; undefined when it is not known how the app ended. */
  readonly afterMs: number | undefined;
}

export interface StillApp {
  readonly name: string;
  /** From the request to make it still until it was back. */
  readonly stillMs: number;
}

export interface ReleaseOptions {
  /** How long to wait for those to become healthy that were so before. */
  readonly healthyWithinMs?: number;
  /** Called when the paused ones run again, before waiting for health. Must not throw. */
  readonly afterPause?: (() => Promise<void>) | undefined;
  /** Ends the wait for health; what was running is started all the same. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReleaseReport {
  /** From the first request to make one still until the last was back. */
  readonly stillMs: number;
  /** Names of containers that are unhealthy, or have exited, after that time. */
  readonly unhealthy: readonly string[];
  readonly apps: readonly StillApp[];
  /** Names of containers that another program let run meanwhile: the data read may be of several moments. */
  readonly disturbed: readonly string[];
}

/** Containers that do not run until they are released. Disposing releases them. */
export interface StillContainers extends AsyncDisposable {
  /** When the last of them became still, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** Names of those that were made still: what ran before. */
  readonly names: readonly string[];
  /** Those that should have been stopped, and were paused instead or left as they were. */
  readonly unstoppable: readonly Unstoppable[];
  /** Those that the engine killed. */
  readonly killed: readonly KilledApp[];
  /** True for a container that was made still, and for the old and new tasks of a service that was. */
  covers(container: ContainerIdentity): boolean;
  /** True for one of these that was stopped, not only paused. */
  isStopped(container: ContainerIdentity): boolean;
  /** How long they have been still. */
  stillForMs(): number;
  /**
   * Starts or unpauses exactly what was running, in reverse order. Removes the journal when all is back;
   * throws, and leaves the journal to `recover`, when something cannot be brought back in time. May be
   * repeated.
   */
  release(options?: ReleaseOptions): Promise<ReleaseReport>;
  /**
   * Records durably what is to be done by hand if this process is killed from here on, where starting these containers
   * again would do harm; with undefined, that it would not. `release` starts them all the same.
   */
  noteByHand(what: string | undefined): Promise<void>;
  /**
   * Leaves them as they are: `recover` brings them back, even while this process runs. `why` is the failure
   * to bring them back with patience: the next command does not wait for it again.
   */
  leave(why?: unknown): Promise<void>;
}

/** How containers are made still. */
export interface StillOptions {
  /** Stops paused containers too, because nothing may go on with the data that they have in memory. */
  readonly stopsPaused?: boolean | undefined;
  /** Called when all is prepared, just before the first container is stopped or paused. */
  readonly justBefore?: (() => Promise<void>) | undefined;
  /**
   * Called last, just before the paused ones are paused: a lock that holds up an application must not wait
   * for anything else. Not called where none is paused.
   */
  readonly beforePause?: (() => Promise<void>) | undefined;
}

interface StillWork {
  readonly journal: OpenAppJournal;
  readonly levels: readonly (readonly AppStep[])[];
  readonly freezing: Freezing;
  readonly unstoppable: readonly Unstoppable[];
  /** Includes the guardian of frozen containers. */
  readonly holds: AsyncDisposable;
  readonly onNote: JobOptions['onNote'];
  readonly request: StillOptions;
}

/** The second half of `makeStill()`: all is planned, held, written down and guarded. */
export class StillSession implements StillContainers {
  sinceMs = 0;
  readonly killed: KilledApp[] = [];
  readonly #containers: Containers;
  readonly #work: StillWork;
  /** When each was asked to be still, by `performance.now()`. */
  readonly #touched = new Map<AppStep, number>();
  readonly #touchedAtMs = new Map<AppStep, number>();
  /** Steps of which it is unknown whether the engine has carried them out, or still will. */
  readonly #unsure = new Set<AppStep>();
  /** Steps whose containers their users have stopped or paused since the plan. */
  readonly #left = new Set<AppStep>();
  #startedAt = 0;
  #released: Promise<ReleaseReport> | undefined;

  constructor(containers: Containers, work: StillWork) {
    this.#containers = containers;
    this.#work = work;
  }

  get names(): readonly string[] {
    return [...this.#touched.keys()].map(({ identity }) => identity.name);
  }

  get unstoppable(): readonly Unstoppable[] {
    return this.#work.unstoppable;
  }

  async begin(signal: AbortSignal | undefined): Promise<void> {
    const { levels, journal, request, freezing } = this.#work;
    // A freeze is noted ahead, so that no disk write delays it: after a kill in between, a thaw does a running
    // app no harm. A stop is noted at the last moment, because after a kill the note alone leaves open whether
    // the engine is still working on it.
    const isNoted = levels[0]?.every(({ how }) => how === 'freeze') === true;
    try {
      if (isNoted) await journal.noteLevel(0, Date.now());
      await request.justBefore?.();
      signal?.throwIfAborted();
      await freezing.untilFree();
      for (const [index, level] of levels.entries()) {
        signal?.throwIfAborted();
        if (index > 0 || !isNoted) await journal.noteLevel(index, Date.now());
        // The paused ones come last, all in one level.
        if (index === levels.length - 1 && level.some(isPaused)) {
          await request.beforePause?.();
          signal?.throwIfAborted();
          await freezing.watch();
        }
        this.#startedAt ||= performance.now();
        await allOrFirstError(level.map((step) => this.#makeStill(step)));
        // Only for a kill from here on. Where the disk is full, this process still knows.
        if (level.some((step) => this.#left.has(step)))
          await journal.leaveOut(this.#left).catch(() => undefined);
      }
      signal?.throwIfAborted();
      this.sinceMs = Date.now();
    } catch (error) {
      await this[Symbol.asyncDispose]().catch((second: unknown) => {
        throw new SuppressedError(error, second);
      });
      throw error;
    }
  }

  covers(container: ContainerIdentity): boolean {
    return this.#stepOf(container) !== undefined;
  }

  isStopped(container: ContainerIdentity): boolean {
    const how = this.#stepOf(container)?.how;
    return how === 'stop' || how === 'scale';
  }

  #stepOf({ id, swarmService }: ContainerIdentity): AppStep | undefined {
    for (const step of this.#touched.keys())
      if (step.how === 'scale' ? step.identity.name === swarmService : step.identity.id === id) return step;
    return undefined;
  }

  stillForMs(): number {
    return performance.now() - this.#startedAt;
  }

  release(options: ReleaseOptions = {}): Promise<ReleaseReport> {
    return (this.#released ??= this.#release(options).catch((error: unknown) => {
      this.#released = undefined;
      throw error;
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release();
    } catch (error) {
      // The error that ended the work hides this one, so it is noted.
      if (error instanceof AppError) this.#work.onNote?.(`${errorInWords(error)}. ${error.hint ?? ''}`);
      // The next command may bring them back.
      await this.leave(error);
      throw error;
    }
  }

  async noteByHand(what: string | undefined): Promise<void> {
    await this.#work.journal.noteByHand(what);
  }

  async leave(why?: unknown): Promise<void> {
    if (why !== undefined) await noteRefusal(this.#work.journal.refusal, why);
    await this.#work.journal[Symbol.asyncDispose]();
    await this.#work.holds[Symbol.asyncDispose]();
  }

  /** Not cancellable: an engine goes on with a stop after its caller has gone. */
  async #makeStill(step: AppStep): Promise<void> {
    if (await this.#isLeft(step)) return void this.#left.add(step);
    this.#touched.set(step, performance.now());
    this.#touchedAtMs.set(step, Date.now());
    const { id, name } = step.identity;
    try {
      if (step.how === 'scale') {
        await this.#containers.scaleService(name, 0);
        await this.#noteTasksEnd(step);
      } else if (step.how === 'pause') await this.#containers.pause(id);
      else if (step.how === 'stop') {
        await this.#containers.stop(id, {});
        await this.#noteEnd(step);
      } else if (!(await this.#work.freezing.freeze(step))) this.#touched.delete(step);
    } catch (error) {
      if (step.how === 'freeze') throw error;
      this.#unsure.add(step);
      if (step.how === 'scale') throw error;
      const state = (await this.#containers.find(id))?.state;
      // Only the answer was lost: the pause is ours, and has to be undone.
      if (step.how === 'pause' && state === 'paused') return;
      if (step.how === 'stop' && state === 'exited') return await this.#noteEnd(step);
      if (state === 'running' || state === 'restarting' || state === 'paused') throw error;
      // It exited on its own since it was looked at: it stays as it is.
      this.#touched.delete(step);
    }
  }

  /**
   * True for a container that its user has stopped or paused since the plan: it would look like ours afterwards. Frozen
   * ones tell by their control groups.
   */
  async #isLeft({ how, was, identity }: AppStep): Promise<boolean> {
    if (how !== 'pause' && how !== 'stop') return false;
    const state = (await this.#containers.find(identity.id))?.state;
    if (state === 'running' || state === 'restarting') return false;
    // One that exits after others were stopped may have exited for that: in doubt it is ours, and is started again.
    if (state === 'exited' && this.#touched.size > 0) return false;
    return state !== 'paused' || (was !== 'paused' && this.#work.request.stopsPaused !== true);
  }

  /** A container that had exited before is later started again, though nothing was done to it here. */
  async #noteEnd(step: AppStep): Promise<void> {
    if (step.was !== 'running') return;
    const { id, name } = step.identity;
    const tookMs = performance.now() - (this.#touched.get(step) ?? 0);
    // Unknown counts as killed.
    const ended = await this.#containers.find(id).catch(() => undefined);
    const exitCode = ended?.exitCode;
    // By force, or with an error just when its time was over.
    const isLate = step.stopTimeoutMs !== undefined && tookMs >= step.stopTimeoutMs;
    if (exitCode !== undefined && exitCode !== killedExit && (exitCode === 0 || !isLate)) return;
    const afterMs = exitCode === undefined ? undefined : Math.round(tookMs);
    this.killed.push({ name, afterMs });
    if (afterMs !== undefined) this.#tellOfKill(name, afterMs);
  }

  /** Where the service cannot be asked, nothing is known of its tasks. */
  async #noteTasksEnd(step: AppStep): Promise<void> {
    const { name } = step.identity;
    const tookMs = performance.now() - (this.#touched.get(step) ?? 0);
    const sinceMs = this.#touchedAtMs.get(step) ?? 0;
    const wereKilled = await this.#containers.wereTasksKilled(name, sinceMs).catch(() => undefined);
    if (wereKilled === false) return;
    const afterMs = wereKilled === undefined ? undefined : Math.round(tookMs);
    this.killed.push({ name, afterMs });
    if (afterMs !== undefined) this.#tellOfKill(name, afterMs);
  }

  #tellOfKill(name: string, afterMs: number): void {
    this.#work.onNote?.(
      `Warning: ${quote(name)} did not stop by itself and was killed after ${(afterMs / 1000).toFixed(1)} s: what it had not written yet is lost. Give it more time ("stop_grace_period" in Compose, "--stop-timeout"), or see why it does not end.`,
    );
  }

  async #release(options: ReleaseOptions): Promise<ReleaseReport> {
    const { levels, freezing, journal, holds } = this.#work;
    const touched = levels.map((level) => level.filter((step) => this.#touched.has(step)));
    // Containers come back even when the disk fails. Those that are only paused do not wait for this.
    const freeReserve = (): Promise<void> => journal.freeReserve().catch(() => undefined);
    if (touched.flat().some(({ how }) => how === 'stop' || how === 'scale')) await freeReserve();
    const report: PutBackReport = await putBack(this.#containers, touched, {
      ...options,
      isUnsure: (step) => this.#unsure.has(step),
      touchedAtMs: (step) => this.#touchedAtMs.get(step),
      onRefusal: freeReserve,
    });
    freezing.dismiss();
    await journal.remove();
    await holds[Symbol.asyncDispose]();
    const apps = [...this.#touched].map(([step, since]) => ({
      name: step.identity.name,
      stillMs: (report.backAt.get(step) ?? performance.now()) - since,
    }));
    const stillMs = Math.max(0, ...[...report.backAt.values()].map((at) => at - this.#startedAt));
    return { stillMs, unhealthy: report.unhealthy, disturbed: report.disturbed, apps };
  }
}

function isPaused({ how }: AppStep): boolean {
  return how === 'pause' || how === 'freeze';
}

/** 128 plus the number of SIGKILL. */
const killedExit = 137;

/** Waits for all, then throws the first error, so that none goes on while the caller handles it. */
async function allOrFirstError(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
