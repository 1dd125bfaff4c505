import { AppError, errorMessage } from '../../model/errors.ts';
import type { Containers } from '../../hosts/containers.ts';
import { knownError } from '../../lib/known-error.ts';
import { watchSilence } from '../../lib/silence.ts';
import type { Stillness } from '../../model/label-settings.ts';
import { quote } from '../../model/quote.ts';
import { type HookMeans, type HookOutcome, type HookRun, openHookRun } from '../hooks/hook-run.ts';
import type { JobOptions } from '../../activity/index.ts';
import type { Repository, StoredDump } from '../../repository/index.ts';
import {
  type ApplicationPlan,
  type ApplicationVolume,
  findMissingDumps,
  planApplication,
  type PlannedServer,
} from './plan-application.ts';
import type { Hold, Preset, PresetServer } from './preset.ts';

/**
 * What the applications on some volumes do for a backup of them, in call order:
 *
 *   await using application = await openApplicationSession(means, volumes, options);
 *   await application.begin(options);                        hooks "before", checkpoints
 *   const dumps = await application.dump(repository, options);
 *   …                                                        a first pass over the live data
 *   …                                                        all is ready for the containers to be made still
 *   await application.hold(stillness, options);              the application's own lock, where it has one
 *   …                                                        the containers are made still (not stopped)
 *   await application.during(options);                       hooks "during"
 *   …                                                        the data is read, or frozen; the containers run again
 *   await application.letGo(options);                        a lock that was lost meanwhile lowers the grade, or throws
 *   …                                                        the containers are healthy again
 *   await application.finish(outcome, options);              hooks "after" and "on-error", always
 *
 * Disposing lets go, and if `finish` was not called, runs the due hooks as after a failed backup. Dispose what
 * holds the containers still before it.
 */
export interface ApplicationSession extends AsyncDisposable {
  readonly plan: ApplicationPlan;
  /** How containers are to be made still, by id, where labels say so. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  /** What was run for a volume so far, for its snapshot's record. */
  ranFor(volume: string): readonly string[];
  begin(options: JobOptions): Promise<void>;
  /** By the volume's name. Call it before anything is paused: a paused server dumps nothing. */
  dump(repository: Repository, options: JobOptions): Promise<ReadonlyMap<string, readonly StoredDump[]>>;
  /**
   * Takes no lock of servers that are stopped, which close their connections, nor of those that run on, where
   * it would not help.
   */
  hold(stillness: ReadonlyMap<string, Stillness>, options: JobOptions): Promise<void>;
  during(options: JobOptions): Promise<void>;
  letGo(options: JobOptions): Promise<void>;
  /** `app` when a still moment of this volume is what its application calls consistent; else `crash`. */
  stillGrade(volume: string): 'app' | 'crash';
  /** Returns the failures of hooks whose failure aborts. */
  finish(outcome: HookOutcome, options: JobOptions): Promise<readonly AppError[]>;
  /** Sets the failure that disposing reports to the hooks. */
  failed(error: unknown): void;
}

/** Plans what the applications in the containers of these volumes can do for their backup, and notes what they cannot. */
export async function openApplicationSession(
  means: HookMeans,
  volumes: readonly ApplicationVolume[],
  options: JobOptions,
): Promise<ApplicationSession> {
  const { containers } = await means.host();
  const all = containers === undefined ? [] : await containers.list({ signal: options.signal });
  const plan = planApplication(volumes, all);
  for (const warning of plan.warnings) options.onNote?.(`${warning}.`);
  for (const note of findMissingDumps(plan, volumes)) options.onNote?.(note);
  const hooks = await openHookRun(means, { hooks: plan.hooks, volumes: volumes.map(({ name }) => name) });
  return new Running({ plan, hooks, containers });
}

/** The wait for a lock ends then: other databases may hold theirs already. */
const heldWithinMs = 30_000;

/** Throws `unavailable` when it is not held in time; releases a lock that comes later. */
async function holdInTime(server: PresetServer, preset: Preset): Promise<Hold | undefined> {
  if (preset.hold === undefined) return undefined;
  const late = new AbortController();
  const signal = server.signal === undefined ? late.signal : AbortSignal.any([server.signal, late.signal]);
  const clock = watchSilence(heldWithinMs, () => {
    const place = quote(server.container.name);
    late.abort(
      new AppError('unavailable', `${preset.title} in ${place} gave no lock in ${heldWithinMs / 1000} s`),
    );
  });
  const pending = preset.hold({ ...server, signal });
  const over = new Promise<never>((_, reject) => {
    late.signal.addEventListener('abort', () => reject(late.signal.reason as Error));
  });
  try {
    return await Promise.race([pending, over]);
  } catch (error) {
    void pending.then(
      (given) => given[Symbol.asyncDispose](),
      () => undefined,
    );
    throw error;
  } finally {
    clock.stop();
  }
}

interface RunningPlan {
  readonly plan: ApplicationPlan;
  readonly hooks: HookRun;
  readonly containers: Containers | undefined;
}

interface Ran {
  readonly volume: string;
  readonly isLock?: boolean;
  evidence: string;
}

interface Held {
  readonly hold: Hold;
  readonly planned: PlannedServer;
  readonly ran: Ran;
  /** By `performance.now()`. */
  readonly since: number;
}

class Running implements ApplicationSession {
  readonly plan: ApplicationPlan;
  readonly stillness: ReadonlyMap<string, Stillness>;
  readonly #hooks: HookRun;
  readonly #containers: Containers | undefined;
  readonly #ran: Ran[] = [];
  readonly #grades = new Map<string, 'app' | 'crash'>();
  #holds: Held[] = [];
  #isDue = false;
  #outcome: HookOutcome = { outcome: 'failed' };
  #onNote: JobOptions['onNote'];

  constructor({ plan, hooks, containers }: RunningPlan) {
    this.plan = plan;
    this.stillness = plan.stillness;
    this.#hooks = hooks;
    this.#containers = containers;
  }

  ranFor(volume: string): readonly string[] {
    const own = this.#ran.filter((one) => one.volume === volume);
    return [...this.#hooks.ran, ...own.map(({ evidence }) => evidence)];
  }

  failed(error: unknown): void {
    const isCancelled = error instanceof AppError && error.code === 'cancelled';
    const message = errorMessage(error);
    this.#outcome = { outcome: isCancelled ? 'cancelled' : 'failed', message };
  }

  async begin(options: JobOptions): Promise<void> {
    this.#isDue = true;
    this.#onNote = options.onNote;
    await this.#hooks.begin(options);
    await this.#withServers(options, 'made ready', async (server, { preset, volume }) => {
      const made = await preset.before?.(server);
      if (made === undefined) return;
      this.#ran.push({ volume, evidence: made.evidence });
      this.#grades.set(volume, made.grade);
      if (made.warning !== undefined) options.onNote?.(made.warning);
    });
  }

  async dump(
    repository: Repository,
    options: JobOptions,
  ): Promise<ReadonlyMap<string, readonly StoredDump[]>> {
    const stored = new Map<string, StoredDump[]>();
    for (const planned of this.plan.servers) {
      if (!planned.dump) continue;
      const { preset, volume } = planned;
      if (preset.dumps === undefined) {
        options.onNote?.(`${preset.title} is not dumped: its files are what is restored.`);
        continue;
      }
      const dumps = await preset.dumps(this.#serverOf(planned, options));
      for (const { name, open } of dumps) {
        const dump = await repository.storeDump({ name, body: open() }, options);
        stored.set(volume, [...(stored.get(volume) ?? []), dump]);
      }
      this.#ran.push({ volume, evidence: `dump of ${preset.title} in "${planned.container.name}"` });
    }
    return stored;
  }

  /** Locks all at once, because one that has its lock should hold it no longer than it must. */
  async hold(stillness: ReadonlyMap<string, Stillness>, options: JobOptions): Promise<void> {
    await this.#withServers(options, 'locked', async (server, planned) => {
      const { preset, volume, container } = planned;
      if ((stillness.get(container.id) ?? 'pause') !== 'pause') return;
      const hold = await holdInTime(server, preset);
      if (hold === undefined) return;
      // Locked again for another try.
      const again = this.#ran.findIndex((one) => one.volume === volume && one.isLock === true);
      if (again >= 0) this.#ran.splice(again, 1);
      const ran = { volume, evidence: hold.evidence, isLock: true };
      this.#holds.push({ hold, planned, ran, since: performance.now() });
      this.#ran.push(ran);
      this.#grades.set(volume, hold.grade);
    });
  }

  async during(options: JobOptions): Promise<void> {
    await this.#hooks.during(options);
  }

  async letGo({ onNote }: JobOptions): Promise<void> {
    const holds = this.#holds;
    this.#holds = [];
    let failure: Error | undefined;
    // Released in parallel, so that no lock is held while another server takes its time to answer.
    const works = holds.map(async ({ hold, planned, ran, since }) => {
      try {
        await using held = hold;
        await held.assertHeld();
        ran.evidence = `${hold.evidence} for ${Math.round(performance.now() - since)} ms`;
      } catch (error) {
        this.#grades.set(planned.volume, 'crash');
        if (planned.isWanted) failure ??= knownError(error);
        else onNote?.(error instanceof Error ? `${error.message}.` : String(error));
      }
    });
    await Promise.all(works);
    if (failure !== undefined) throw failure;
  }

  stillGrade(volume: string): 'app' | 'crash' {
    return this.#grades.get(volume) ?? 'crash';
  }

  async finish(outcome: HookOutcome, options: JobOptions): Promise<readonly AppError[]> {
    this.#isDue = false;
    return await this.#hooks.finish(outcome, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The hooks that are due must run all the same.
    await this.letGo({}).catch(() => undefined);
    if (this.#isDue) await this.finish(this.#outcome, { onNote: this.#onNote });
  }

  /** A server that was not asked for by name may fail: the files of one instant are good without it. */
  async #withServers(
    options: JobOptions,
    what: string,
    work: (server: PresetServer, planned: PlannedServer) => Promise<void>,
  ): Promise<void> {
    const works = this.plan.servers.map(async (planned) => {
      options.signal?.throwIfAborted();
      try {
        await work(this.#serverOf(planned, options), planned);
      } catch (error) {
        const isSerious = !(error instanceof AppError) || error.code === 'cancelled' || planned.isWanted;
        if (isSerious || options.signal?.aborted === true) throw error;
        const { preset, container } = planned;
        options.onNote?.(`${preset.title} in "${container.name}" could not be ${what}: ${error.message}.`);
      }
    });
    // Waits for all, so that none goes on while the caller handles a failure.
    const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  #serverOf({ container, mountPath, recognition }: PlannedServer, { signal }: JobOptions): PresetServer {
    if (this.#containers === undefined)
      throw new AppError('unsupported', 'This host runs no containers that could be asked');
    return { containers: this.#containers, container, mountPath, recognition, signal };
  }
}
