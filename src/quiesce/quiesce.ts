import type { HostScope } from '../hosts/host.ts';
import { realpath } from 'node:fs/promises';
import type { Container } from '../hosts/containers.ts';
import { errorInWords, knownError } from '../lib/known-error.ts';
import { type ByteString, toText } from '../model/byte-string.ts';
import { longestTimerMs } from '../model/duration.ts';
import { AppError } from '../model/errors.ts';
import type { Stillness } from '../model/label-settings.ts';
import { quote } from '../model/quote.ts';
import { type Consumer, isActive } from '../model/volume.ts';
import type { JobOptions } from '../activity/index.ts';
import type { QuiescePlan } from './consistency.ts';
import { frozenAtMostMs } from './freeze/freezing.ts';
import { findHostWriters } from './host-writers.ts';
import { nameApps } from './name-apps.ts';
import type { ApplicationSession } from './presets/application-session.ts';
import { makeStill } from './still-containers.ts';
import type { KilledApp, ReleaseReport, StillContainers } from './still-session.ts';
import {
  consumersNow,
  isActiveContainer,
  lookAround,
  runs,
  type Surroundings,
  writersIn,
} from './volume-containers.ts';

/** A volume or directory that is kept still, with what was known of it when the plan was made. */
export interface QuiescePlace {
  readonly target: { readonly kind: 'volume' | 'path'; readonly name: string };
  /** The data's path on this machine; undefined where it is read through the engine. */
  readonly root: ByteString | undefined;
  /** Containers that ran or were paused, and can write when they run. */
  readonly writers: readonly Container[];
  /** The same where a host lists consumers, and no containers. */
  readonly consumers: readonly Consumer[];
}

export interface QuiesceRequest {
  readonly places: readonly QuiescePlace[];
  readonly plan: QuiescePlan;
  /** The application's part for it; undefined when there is none. */
  readonly application: ApplicationSession | undefined;
  /** By container id: what labels ask. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  /** What is not read by then is read while the containers run again; undefined for no limit. */
  readonly maxStillMs: number | undefined;
  /** How long the last pass over the live data took: about as long as the data will have to be still. */
  readonly lastPassMs: number | undefined;
  /** True when the data is made still once more if not all was read in time. */
  readonly mayRepeat: boolean;
  /** Called just before the first container is paused or stopped. Not called where none is. */
  readonly justBefore: () => Promise<void>;
}

/** The time in which the data of all places is still. Disposing releases it. */
export interface QuiesceSession extends AsyncDisposable {
  /** When it became still, in milliseconds since 1970. */
  readonly timeMs: number;
  /** When the containers ran again before `release`, in milliseconds since 1970; undefined while still. */
  readonly cutAtMs: () => number | undefined;
  /** Lets the containers run now; `release` follows. The reason is for people. */
  readonly cut: (reason: string) => void;
  /** Brings back what ran, and looks for writers meanwhile. Throws if something cannot be brought back. */
  release(): Promise<QuiesceEvidence>;
  /**
   * What is told of an error that ended the work, once this is disposed: where something could not be brought back, that
   * it does not run, and the error below it.
   */
  explain(error: unknown): unknown;
}

/** What was seen of a still time that is over: by this a snapshot is graded. */
export interface QuiesceEvidence {
  /** True when another program, or the guardian of frozen containers, let some run meanwhile. */
  readonly isDisturbed: boolean;
  /** From the first request to make one still until the last was back. */
  readonly stillMs: number;
  /** In the order of the places. */
  readonly places: readonly PlaceEvidence[];
}

/** What is known of all that could write to a place while it was to be still. */
export interface PlaceEvidence {
  readonly how: 'pause' | 'stop' | undefined;
  /** What was made still. */
  readonly apps: readonly { readonly name: string; readonly stillMs: number }[];
  /** Containers that could write though others were still, or all the time. */
  readonly writers: readonly string[];
  /** Those that were made still, and that another program let run meanwhile. */
  readonly disturbed: readonly string[];
  /** Processes of the machine, for people. */
  readonly hostProcesses: readonly string[];
  /** What the application itself did for it. */
  readonly made?: { readonly grade: 'app' | 'crash'; readonly evidence: string } | undefined;
  /** Those that the engine killed. */
  readonly killed?: readonly KilledApp[] | undefined;
  /** Those that their users had paused all the time. */
  readonly paused?: readonly string[] | undefined;
  /** What was run for it: hooks, locks, dumps. For people. */
  readonly ran?: readonly string[] | undefined;
}

/**
 * Makes the data of all places still, as planned: looks who can write to it now, prepares, locks databases,
 * pauses or stops containers, runs the "during" hooks. When it throws, what ran runs again, or the error says
 * what does not.
 */
export async function quiesce(
  means: HostScope,
  request: QuiesceRequest,
  options: JobOptions,
): Promise<QuiesceSession> {
  const session = new Quiescing(means, request, options);
  try {
    await session.begin();
    return session;
  } catch (error) {
    // What could not be brought back is explained.
    await session[Symbol.asyncDispose]().catch(() => undefined);
    throw session.explain(error);
  }
}

const healthyWithinMs = 60_000;
/** Far below the longest freeze. */
const briefPassMs = 3000;
/** A busy machine may let them run again this much late. */
const lateByMs = 1000;

class Quiescing implements QuiesceSession {
  timeMs = 0;
  readonly #means: HostScope;
  readonly #request: QuiesceRequest;
  readonly #options: JobOptions;
  readonly #hostProcesses = new Map<QuiescePlace, Set<string>>();
  /** Containers that could write to a place when they were to be made still. */
  readonly #active = new Map<QuiescePlace, readonly Container[]>();
  #still: StillContainers | undefined;
  #report: ReleaseReport | undefined;
  #clock: NodeJS.Timeout | undefined;
  #cutAtMs: number | undefined;
  #letGo: Promise<void> | undefined;
  /** Why something that ran does not run again. */
  #notBack: AppError | undefined;
  /** Just before it was looked who could write: what is started from here on may be missing from what was seen. */
  #beganAtMs = 0;

  constructor(means: HostScope, request: QuiesceRequest, options: JobOptions) {
    this.#means = means;
    this.#request = request;
    this.#options = options;
  }

  async begin(): Promise<void> {
    const { places, plan, application, stillness } = this.#request;
    const { how } = plan;
    this.#beganAtMs = Date.now();
    const around = await this.#lookAround();
    const writers = new Map<string, Container>();
    for (const place of places) {
      // A container started during the live pass has to be still as well.
      const active = (await writersIn(around, place.target)).filter(isActiveContainer);
      for (const container of active) writers.set(container.id, container);
      this.#active.set(place, active);
    }
    if (how === undefined) {
      this.timeMs = Date.now();
      await application?.during(this.#options);
      return;
    }
    const companions = (application?.plan.companions ?? []).filter(isActiveContainer);
    this.#still = await makeStill(
      this.#means,
      {
        containers: [...writers.values(), ...companions].filter(({ id }) => stillness.get(id) !== 'run'),
        how,
        howOf: ownWays(stillness),
        briefMs: this.#briefMs(),
        isPutBackAtOnce: true,
        reason: `back up ${places.map(({ target }) => quote(target.name)).join(', ')}`,
        justBefore: this.#request.justBefore,
        // A stopped server closes its connections, and needs no lock.
        beforePause: async () => {
          if (how === 'pause') await application?.hold(stillness, this.#options);
        },
      },
      this.#options,
    );
    this.timeMs = this.#still.sinceMs;
    await application?.during(this.#options);
    this.#startClock(this.#still);
  }

  readonly cutAtMs = (): number | undefined => this.#cutAtMs;

  readonly cut = (reason: string): void => {
    if (this.#letGo !== undefined || this.#still === undefined) return;
    const then = this.#request.mayRepeat
      ? 'what is left is read in use, then it is tried again'
      : 'the rest is read in use';
    const names = nameApps(this.#still.names);
    this.#options.onNote?.(`${names} run again before all was read: ${reason}; ${then}.`);
    this.#cutAtMs = Date.now();
    // `release` reports what went wrong.
    void this.#letAllGo().catch(() => undefined);
  };

  async release(): Promise<QuiesceEvidence> {
    await this.#letAllGo();
    const around = await this.#lookAround();
    const places: PlaceEvidence[] = [];
    for (const place of this.#request.places) places.push(await this.#evidenceOf(place, around));
    const { disturbed = [], stillMs = 0 } = this.#report ?? {};
    return { isDisturbed: disturbed.length > 0, stillMs, places };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // `release` reports the error; without it, an error on its way does, or the containers' own disposal.
    await this.#letAllGo().catch(() => undefined);
    try {
      await this.#still?.[Symbol.asyncDispose]();
    } catch (error) {
      this.#notBack = knownError(error);
      throw error;
    }
  }

  explain(error: unknown): unknown {
    const [ended, notBack] = [knownError(error), this.#notBack];
    if (notBack === undefined || ended.message === notBack.message) return error;
    const { code, message, hint } = notBack;
    const detail = [notBack.detail, `What ended the work before: ${errorInWords(ended)}`];
    return new AppError(code, message, { detail: detail.filter(Boolean).join('\n'), hint, cause: error });
  }

  /**
   * Paused containers count as still from the first request; hooks meanwhile have their own time. An engine
   * that is slow to pause them leaves half of the time for reading.
   */
  #startClock(still: StillContainers): void {
    const { maxStillMs, plan } = this.#request;
    if (maxStillMs === undefined || still.names.length === 0) return;
    const sinceMs = plan.how === 'pause' && !this.#hasHooks ? still.stillForMs() : 0;
    const leftMs = Math.min(Math.max(maxStillMs - sinceMs, maxStillMs / 2), longestTimerMs);
    this.#clock = setTimeout(() => this.cut(`${Math.round(maxStillMs)} ms were over`), leftMs);
  }

  /** Hooks meanwhile have no limit; and the next pass may take as long as the last. */
  #briefMs(): number | undefined {
    const { lastPassMs, maxStillMs = Infinity } = this.#request;
    if (lastPassMs === undefined || this.#hasHooks) return undefined;
    const boundMs = maxStillMs + lateByMs;
    if (boundMs > briefPassMs && lastPassMs > briefPassMs) return undefined;
    return Math.min(boundMs, frozenAtMostMs);
  }

  get #hasHooks(): boolean {
    return this.#request.application?.plan.hooks.some(({ hook }) => hook.moment === 'during') === true;
  }

  #letAllGo(): Promise<void> {
    clearTimeout(this.#clock);
    return (this.#letGo ??= this.#bringBack());
  }

  async #bringBack(): Promise<void> {
    const { signal, onNote } = this.#options;
    const lost: unknown[] = [];
    // A locked server may not become healthy, so its lock is released before the wait for health.
    const letGo = async (): Promise<void> => {
      await this.#request.application?.letGo(this.#options).catch((error: unknown) => lost.push(error));
    };
    try {
      // What depends on a stopped service is started when that one is healthy again.
      this.#report = await this.#still?.release({ healthyWithinMs, afterPause: letGo, signal });
      for (const name of this.#report?.unhealthy ?? [])
        onNote?.(`Warning: ${quote(name)} is not healthy ${healthyWithinMs / 1000} s after it came back.`);
    } finally {
      // Where none was paused, or not all could be brought back.
      await letGo();
    }
    if (lost.length > 0) throw lost[0];
  }

  async #evidenceOf(place: QuiescePlace, around: Surroundings): Promise<PlaceEvidence> {
    const { plan, application } = this.#request;
    const { name } = place.target;
    const ran = application?.ranFor(name) ?? [];
    const hostProcesses = [...(this.#hostProcesses.get(place) ?? [])];
    if ((await this.#means.host()).containers === undefined) {
      const after = await consumersNow(this.#means, place.target, { signal: this.#options.signal });
      const writers = namesOfWriters([...place.consumers, ...after]);
      return { how: undefined, apps: [], writers, disturbed: [], hostProcesses, ran };
    }
    const still = this.#still;
    const after = await writersIn(around, place.target);
    const loose = after.filter(
      (writer) => still?.covers(writer) !== true && couldWrite(writer, this.#beganAtMs),
    );
    const active = this.#active.get(place) ?? [];
    // A container started since the plan runs on, because nothing is made still.
    const seen = plan.how === undefined ? [...place.writers, ...active] : [];
    const writers = [...seen.filter(runs), ...loose].map((writer) => writer.name);
    // The application's grade does not hold for data that was never still.
    const made =
      application === undefined || plan.how === undefined
        ? undefined
        : { grade: application.stillGrade(name), evidence: ran.join(', ') };
    // Those that their users had paused, or have paused before they were made still, and that stay so.
    const left = still === undefined ? place.writers : active.filter((container) => !still.covers(container));
    const pausedNow = new Set(after.filter(({ state }) => state === 'paused').map(({ id }) => id));
    const paused = left.filter(
      ({ id, state }) => state === 'paused' || (still !== undefined && pausedNow.has(id)),
    );
    const names = new Set(active.flatMap((one) => [one.name, one.swarmService ?? one.name]));
    return {
      how: this.#howOf(active),
      apps: (this.#report?.apps ?? [])
        .filter((app) => names.has(app.name))
        .map((app) => ({ name: app.name, stillMs: Math.round(app.stillMs) })),
      writers: [...new Set(writers)],
      disturbed: (this.#report?.disturbed ?? []).filter((one) => names.has(one)),
      hostProcesses,
      made,
      killed: (still?.killed ?? []).filter((app) => names.has(app.name)),
      paused: paused.map((container) => container.name),
      ran,
    };
  }

  /** `stop` only where all were stopped, and none was paused instead. */
  #howOf(active: readonly Container[]): 'pause' | 'stop' | undefined {
    const { how } = this.#request.plan;
    const still = this.#still;
    if (how === undefined || still === undefined) return how;
    const covered = active.filter((container) => still.covers(container));
    if (covered.length === 0) return how;
    return covered.every((container) => still.isStopped(container)) ? 'stop' : 'pause';
  }

  /** The containers, and the processes of the machine that write to any of the places. */
  async #lookAround(): Promise<Surroundings> {
    const { places } = this.#request;
    const { signal } = this.#options;
    const around = await lookAround(
      this.#means,
      places.map(({ target }) => target),
      { signal },
    );
    const local: { readonly place: QuiescePlace; readonly root: string; readonly containerIds: string[] }[] =
      [];
    for (const place of places) {
      if (place.root === undefined) continue;
      const root = toText(place.root);
      const containerIds = (await writersIn(around, place.target)).map(({ id }) => id);
      local.push({ place, root: await realpath(root).catch(() => root), containerIds });
    }
    const found = await findHostWriters(local, { signal });
    for (const [index, { place }] of local.entries()) {
      const seen = this.#hostProcesses.get(place) ?? new Set();
      for (const { name, pid } of found[index] ?? []) seen.add(`process ${pid} (${quote(name)})`);
      this.#hostProcesses.set(place, seen);
    }
    return around;
  }
}

/** Names of those consumers that can write now. */
export function namesOfWriters(consumers: readonly Consumer[]): string[] {
  const writers = consumers.filter((consumer) => isActive(consumer) && !consumer.readOnly);
  return [...new Set(writers.map(({ name }) => name))];
}

/** Containers that differ from the rest and are not left running. */
function ownWays(stillness: ReadonlyMap<string, Stillness>): ReadonlyMap<string, 'pause' | 'stop'> {
  return new Map([...stillness].flatMap(([id, way]) => (way === 'run' ? [] : [[id, way] as const])));
}

/** True for one that runs, or was started since: it may have run and exited. */
function couldWrite(container: Container, sinceMs: number): boolean {
  const { startedAt } = container;
  return runs(container) || (startedAt !== undefined && Date.parse(startedAt) >= sinceMs);
}
