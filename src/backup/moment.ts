import { realpath } from 'node:fs/promises';
import type { Container } from '../hosts/containers.ts';
import { amount } from '../model/size.ts';
import { toText } from '../model/byte-string.ts';
import { quote } from '../model/quote.ts';
import type { Stillness } from '../model/label-settings.ts';
import type { GradeEvidence, InFlight, VolumeDescription } from '../model/snapshot.ts';
import type { ShownByData, StillMoment } from '../repository/index.ts';
import { type GradeReason, gradeOf, gradeStill } from './grade.ts';
import {
  consumersNow,
  findHostWriters,
  frozenAtMostMs,
  isActiveContainer,
  lookAround,
  makeStill,
  nameApps,
  runs,
  writersIn,
  type Application,
  type ReleaseReport,
  type StillContainers,
  type StillPlan,
  type Surroundings,
} from '../quiesce/index.ts';
import type { OpenedSource } from './open-source.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import type { BackupTarget } from '../volumes/index.ts';

const healthyWithinMs = 60_000;
/** Far below what may be frozen by the kernel at most. */
const briefPassMs = 3000;
/** A busy machine lets them run again that much later than it should. */
const lateByMs = 1000;

/** What a timer takes. */
const longestTimerMs = 2 ** 31 - 1;

/** What is saved at a still moment, with what is known of it before. */
export interface Member {
  readonly target: BackupTarget;
  readonly volume: VolumeDescription;
  readonly source: OpenedSource;
  /** Containers that ran or were paused when the backup began, and can write when they run. */
  readonly writers: readonly Container[];
}

interface MomentParts {
  readonly members: readonly Member[];
  readonly plan: StillPlan;
  /** What the applications do for it; undefined when there is nothing. */
  readonly application: Application | undefined;
  /** By container id: how labels want it to be made still. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  /** What is not read by then is read when the containers run again; undefined for no such time. */
  readonly maxStillMs?: number | undefined;
  /** How often they are made still at most, when not all was read in time. */
  readonly tries?: number | undefined;
}

/** The time in which the data of all members is still, and what was seen around it. */
export class Moment implements StillMoment, AsyncDisposable {
  readonly liveFirst: boolean;
  readonly clones: boolean;
  readonly maxStillMs: number | undefined;
  readonly tries: number;
  readonly #parts: Protection;
  readonly #options: JobOptions;
  readonly members: readonly Member[];
  readonly #plan: StillPlan;
  readonly #application: Application | undefined;
  readonly #stillness: ReadonlyMap<string, Stillness>;
  readonly #strangers = new Map<Member, Set<string>>();
  readonly #grades = new Map<Member, GradeReason>();
  /** Those that could write to a member's data when they were to be made still. */
  readonly #active = new Map<Member, readonly Container[]>();
  /** Asked once for all members, when everything is read. */
  #after: Promise<Surroundings> | undefined;
  #still: StillContainers | undefined;
  #report: ReleaseReport | undefined;
  #clock: NodeJS.Timeout | undefined;
  #cutAtMs: number | undefined;
  #letGo: Promise<void> | undefined;
  #triesLeft = 0;
  /** Just before it was looked who could write. */
  #beganAtMs = 0;

  constructor(
    parts: Protection,
    { members, plan, application, stillness, maxStillMs, tries = 1 }: MomentParts,
    options: JobOptions,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.members = members;
    this.#plan = plan;
    this.#application = application;
    this.#stillness = stillness;
    this.liveFirst = plan.liveFirst;
    this.clones = plan.clones;
    this.maxStillMs = plan.how === undefined ? undefined : maxStillMs;
    this.tries = plan.liveFirst ? tries : 1;
    this.#triesLeft = this.tries;
  }

  async begin(prepare: () => Promise<void>, lastPassMs: number | undefined): Promise<number> {
    const { signal, onNote } = this.#options;
    const { how } = this.#plan;
    const writers = new Map<string, Container>();
    this.#cutAtMs = undefined;
    this.#letGo = undefined;
    this.#still = undefined;
    this.#triesLeft--;
    this.#strangers.clear();
    // Who is started from here on may be missing from what is seen now.
    this.#beganAtMs = this.#parts.now();
    const around = await this.#lookAround();
    await this.#lookForStrangers(around);
    for (const member of this.members) {
      // Who was started while the data was gone through in use has to be still as well.
      const active = (await writersIn(around, member.target)).filter(isActiveContainer);
      for (const container of active) writers.set(container.id, container);
      this.#active.set(member, active);
    }
    if (how === undefined) {
      const beganAtMs = this.#parts.now();
      await this.#application?.during(this.#options);
      return beganAtMs;
    }
    const names = this.members.map(({ target }) => quote(target.name)).join(', ');
    const companions = (this.#application?.plan.companions ?? []).filter(isActiveContainer);
    const containers = [...writers.values(), ...companions].filter(
      ({ id }) => this.#stillness.get(id) !== 'run',
    );
    const howOf = ownWays(this.#stillness);
    const briefMs = this.#briefMs(lastPassMs);
    const beforePause = async (): Promise<void> => {
      // A server that is stopped lets its clients go, and needs no lock.
      if (how === 'pause') await this.#application?.hold(this.#stillness, this.#options);
    };
    this.#still = await makeStill(
      this.#parts,
      { containers, how, howOf, briefMs, reason: `back up ${names}`, justBefore: prepare, beforePause },
      { signal, onNote },
    );
    const { sinceMs } = this.#still;
    await this.#application?.during(this.#options);
    this.#startClock(this.#still);
    return sinceMs;
  }

  /**
   * Those that are paused are so since they were first asked to be; what hooks do meanwhile has its own time. An engine that
   * is slow to pause them leaves half of the time for the reading.
   */
  #startClock(still: StillContainers): void {
    if (this.maxStillMs === undefined || still.names.length === 0) return;
    const sinceMs = this.#plan.how === 'pause' && !this.#hasHooks ? still.stillForMs() : 0;
    const leftMs = Math.min(Math.max(this.maxStillMs - sinceMs, this.maxStillMs / 2), longestTimerMs);
    this.#clock = setTimeout(() => this.cut(`${Math.round(this.maxStillMs ?? 0)} ms were over`), leftMs);
  }

  /** What hooks do meanwhile may take as long as they like; and what a pass has taken, the next may take again. */
  #briefMs(lastPassMs: number | undefined): number | undefined {
    if (lastPassMs === undefined || this.#hasHooks) return undefined;
    const boundMs = (this.maxStillMs ?? Infinity) + lateByMs;
    if (boundMs > briefPassMs && lastPassMs > briefPassMs) return undefined;
    return Math.min(boundMs, frozenAtMostMs);
  }

  get #hasHooks(): boolean {
    return this.#application?.plan.hooks.some(({ hook }) => hook.moment === 'during') === true;
  }

  cutAtMs(): number | undefined {
    return this.#cutAtMs;
  }

  /** As when the guardian of what is frozen has let it run. */
  wasDisturbed(): boolean {
    return (this.#report?.disturbed ?? []).length > 0;
  }

  cut(reason: string): void {
    if (this.#letGo !== undefined || this.#still === undefined) return;
    const names = nameApps(this.#still.names);
    const then =
      this.#triesLeft > 0 ? 'what is left is read in use, then it is tried again' : 'the rest is read in use';
    this.#options.onNote?.(`${names} run again before all was read: ${reason}; ${then}.`);
    this.#cutAtMs = this.#parts.now();
    void this.#end().catch(() => undefined);
  }

  async end(): Promise<void> {
    await this.#end();
  }

  #end(): Promise<void> {
    clearTimeout(this.#clock);
    return (this.#letGo ??= this.#letAllGo());
  }

  async #letAllGo(): Promise<void> {
    const lost: unknown[] = [];
    // A server that cannot write may not become healthy: it is let go before its health is waited for.
    const letGo = async (): Promise<void> => {
      await this.#application?.letGo(this.#options).catch((error: unknown) => lost.push(error));
    };
    try {
      if (this.#still !== undefined) this.#report = await this.#release(this.#still, letGo);
    } finally {
      // Where none was paused, or not all could be brought back.
      await letGo();
    }
    if (lost.length > 0) throw lost[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#clock);
    await this.#still?.[Symbol.asyncDispose]();
  }

  async #release(still: StillContainers, afterPause: () => Promise<void>): Promise<ReleaseReport> {
    const { signal, onNote } = this.#options;
    // Whoever depends on a service that was stopped is started when that one is healthy again.
    const report = await still.release({ healthyWithinMs, afterPause, signal });
    for (const name of report.unhealthy)
      onNote?.(`Warning: ${quote(name)} is not healthy ${healthyWithinMs / 1000} s after it came back.`);
    return report;
  }

  gradeOf(member: Member): GradeReason {
    return this.#grades.get(member) ?? { grade: 'torn', reason: 'it is not known who could write' };
  }

  /** Asked when everything is read and the containers are back. */
  async decideGrade(member: Member, shown: ShownByData = { problems: [] }): Promise<GradeReason> {
    const { late = 0 } = shown.inFlight ?? {};
    // Of what was read late it is known why it changed meanwhile.
    const graded = await this.#grade(member, late > 0 ? { problems: [] } : shown);
    return this.#decided(member, lateGrade(graded, { late, maxStillMs: this.maxStillMs }));
  }

  #decided(member: Member, graded: GradeReason): GradeReason {
    this.#grades.set(member, graded);
    return graded;
  }

  evidenceOf(member: Member, inFlight: InFlight | undefined): GradeEvidence {
    const { reason } = this.gradeOf(member);
    const apps = this.#appsOf(member);
    const { consistency } = this.#plan;
    const ran = this.#application?.ranFor(member.target.name) ?? [];
    const whatRan = ran.length > 0 ? { ran } : {};
    if (apps.length === 0)
      return { consistency: consistency === 'live' ? 'live' : 'cold', reason, ...whatRan };
    const stillMs = Math.round(this.#report?.stillMs ?? 0);
    const bound = this.maxStillMs === undefined ? {} : { maxStillMs: this.maxStillMs };
    return { consistency, reason, stillMs, ...bound, apps, ...(inFlight && { inFlight }), ...whatRan };
  }

  /** What the application has made of the data; nothing when it was not still at all. */
  #madeBy(member: Member): { readonly grade: 'app' | 'crash'; readonly evidence: string } | undefined {
    if (this.#application === undefined || this.#plan.how === undefined) return undefined;
    const { name } = member.target;
    return { grade: this.#application.stillGrade(name), evidence: this.#application.ranFor(name).join(', ') };
  }

  async #grade(member: Member, shown: ShownByData): Promise<GradeReason> {
    const { signal } = this.#options;
    const around = await (this.#after ??= this.#lookAfterwards());
    const seenInData = {
      strangers: [...(this.#strangers.get(member) ?? [])],
      traces: tracesIn(shown),
    };
    if ((await this.#parts.host()).containers === undefined) {
      const consumers = await consumersNow(this.#parts, member.target, { signal });
      return gradeOf(member.volume.consumers, consumers, seenInData);
    }
    const after = await writersIn(around, member.target);
    const loose = after.filter(
      (writer) => this.#still?.covers(writer) !== true && couldWrite(writer, this.#beganAtMs),
    );
    // One that was started since the plan was made runs on: nobody makes it still.
    const seen = this.#plan.how === undefined ? [...member.writers, ...this.#activeOf(member)] : [];
    const before = seen.filter(runs);
    return gradeStill({
      how: this.#howOf(member),
      apps: this.#appsOf(member),
      writers: [...new Set([...before, ...loose].map(({ name }) => name))],
      disturbed: this.#ofMember(member, this.#report?.disturbed ?? [], (name) => name),
      ...seenInData,
      made: this.#madeBy(member),
      killed: this.#ofMember(member, this.#still?.killed ?? [], ({ name }) => name),
      paused: this.#pausedOf(member),
    });
  }

  /** Those whose users had paused them, and that stay so. */
  #pausedOf(member: Member): string[] {
    const still = this.#still;
    const seen =
      still === undefined
        ? member.writers
        : this.#activeOf(member).filter((container) => !still.covers(container));
    return seen.filter(({ state }) => state === 'paused').map(({ name }) => name);
  }

  /** Stopped where all of them were: not by one that is only paused instead. */
  #howOf(member: Member): 'pause' | 'stop' | undefined {
    const { how } = this.#plan;
    const still = this.#still;
    if (how === undefined || still === undefined) return how;
    const covered = this.#activeOf(member).filter((container) => still.covers(container));
    if (covered.length === 0) return how;
    return covered.every((container) => still.isStopped(container)) ? 'stop' : 'pause';
  }

  #appsOf(member: Member): { readonly name: string; readonly stillMs: number }[] {
    return this.#ofMember(member, this.#report?.apps ?? [], ({ name }) => name).map(({ name, stillMs }) => ({
      name,
      stillMs: Math.round(stillMs),
    }));
  }

  /** Of what is told of all that were still: what is of those that can write to this one. */
  #ofMember<T>(member: Member, told: readonly T[], nameOf: (one: T) => string): T[] {
    const names = new Set(
      this.#activeOf(member).flatMap(({ name, swarmService }) => [name, swarmService ?? name]),
    );
    return told.filter((one) => names.has(nameOf(one)));
  }

  #activeOf(member: Member): readonly Container[] {
    return this.#active.get(member) ?? [];
  }

  async #lookAround(): Promise<Surroundings> {
    const places = this.members.map(({ target }) => target);
    return await lookAround(this.#parts, places, { signal: this.#options.signal });
  }

  async #lookAfterwards(): Promise<Surroundings> {
    const around = await this.#lookAround();
    await this.#lookForStrangers(around);
    return around;
  }

  async #lookForStrangers(around: Surroundings): Promise<void> {
    const { signal } = this.#options;
    for (const member of this.members) {
      const { tree } = member.source;
      if (tree.kind !== 'directory') continue;
      const root = toText(tree.only === undefined ? tree.root : `${tree.root}/${tree.only}`);
      const roots = [await realpath(root).catch(() => root)];
      const containerIds = (await writersIn(around, member.target)).map(({ id }) => id);
      const seen = this.#strangers.get(member) ?? new Set();
      for (const { name, pid } of await findHostWriters({ roots, containerIds, signal }))
        seen.add(`process ${pid} (${quote(name)})`);
      this.#strangers.set(member, seen);
    }
  }
}

/** What was read when the containers ran again already need not be of the moment of the rest. */
function lateGrade(
  graded: GradeReason,
  { late, maxStillMs }: { readonly late: number; readonly maxStillMs: number | undefined },
): GradeReason {
  if (late === 0 || graded.grade === 'torn') return graded;
  const bound = maxStillMs === undefined ? '' : ` (at most ${maxStillMs} ms)`;
  const reason = `${graded.reason}${bound}, then ran again before ${amount(late, 'file')} had been read`;
  return { grade: 'torn', reason };
}

/** Of those that are neither as the others are nor let run. */
function ownWays(stillness: ReadonlyMap<string, Stillness>): ReadonlyMap<string, 'pause' | 'stop'> {
  return new Map([...stillness].flatMap(([id, way]) => (way === 'run' ? [] : [[id, way] as const])));
}

/** What vanished or changed while it was read, or before that, was written to. For people. */
function tracesIn({ problems, written }: ShownByData): string[] {
  return [
    ...problems
      .filter(({ reason }) => reason !== 'unreadable')
      .map(({ path, message }) => `${quote(path)} ${message}`),
    ...(written === undefined ? [] : [`${quote(written)} was changed before it was read`]),
  ];
}

/** True for one that runs, or was started since: it may have run and ended. */
function couldWrite(container: Container, sinceMs: number): boolean {
  const { startedAt } = container;
  return runs(container) || (startedAt !== undefined && Date.parse(startedAt) >= sinceMs);
}
