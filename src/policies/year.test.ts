import { expect, test } from 'vitest';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { AppError } from '../model/errors.ts';
import { configurationShape } from './configuration/configuration.ts';
import { readDocument } from '../lib/read-document.ts';
import { planForget } from '../retention/forget-plan.ts';
import { planTasks, runDaemon } from './daemon.ts';
import { FakeClock } from '../../test/fixtures/fake-clock.ts';
import { FakeWork, someSubject } from '../../test/fixtures/fake-work.ts';
import { policyTag } from '../model/policy.ts';
import { timesBetween } from '../lib/schedule.ts';
import type { Subject } from './subject.ts';
import type { Task } from './task.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const yaml = `
defaults: { time-zone: Europe/Berlin, jitter: 20m }
policies:
  databases: { volumes: 'db-*', schedule: '0 */2 * * *', keep: { hourly: 24, daily: 7, weekly: 4, monthly: 3 } }
  nightly: { schedule: '30 2 * * *', repositories: [main, offsite], keep: { daily: 7, weekly: 4, monthly: 12 } }
  twice: { volumes: media, schedule: ['15 1 * * *', '0 3 * * 0'], time-zone: America/New_York, keep: { last: 10 } }
  etc: { paths: /etc/app, schedule: '0 0 1 * *', catch-up: false, jitter: 1m }
`;

/** Deterministic. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A machine with a daemon, over a year in which a lot happens. All spans are in real time. */
class Year {
  readonly clock = new FakeClock(Date.parse('2026-01-01T00:00:00Z'));
  readonly work = new FakeWork(this.clock);
  readonly catalog = openSqliteCatalog(':memory:');
  readonly said: string[] = [];
  /** When nothing could be saved, or nothing to some repository. */
  readonly down: Span[] = [];
  readonly hostAway: Span[] = [];
  readonly offsiteAway: Span[] = [];
  /** The offset between real time and the clock, from each time on. */
  readonly offsets: { fromMs: number; offsetMs: number }[] = [];
  readonly lives = new Map<string, Span>();
  #stop = new AbortController();
  #daemon: Promise<void> = Promise.resolve();

  constructor() {
    const configured = readDocument(yaml, configurationShape, 'h.yaml')?.value;
    if (configured === undefined) throw new Error('no configuration');
    this.work.configured = { ...configured, file: 'h.yaml', values: [] };
    this.#noteOffset();
  }

  start(): void {
    this.#stop = new AbortController();
    this.#daemon = runDaemon(
      {
        clock: this.clock,
        memory: this.catalog.policies,
        work: this.work,
        say: (line) => void this.said.push(line),
      },
      { signal: this.#stop.signal, graceMs: 30_000, lookEveryMs: 60 * minuteMs },
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.clock.pass(2 * minuteMs);
    await this.#daemon;
  }

  async kill(): Promise<void> {
    await this.clock.pass(0);
    this.work.kill();
  }

  async downFor(ms: number): Promise<void> {
    const fromMs = this.clock.realMs;
    await this.clock.pass(ms);
    this.down.push({ fromMs, toMs: this.clock.realMs });
  }

  jump(byMs: number): void {
    this.clock.jump(byMs);
    this.#noteOffset();
  }

  set(subjects: readonly Subject[]): void {
    const now = this.clock.realMs;
    for (const { name } of subjects)
      if (!this.lives.has(name)) this.lives.set(name, { fromMs: now + 61 * minuteMs, toMs: Infinity });
    for (const [name, life] of this.lives)
      if (life.toMs === Infinity && !subjects.some((one) => one.name === name))
        this.lives.set(name, { ...life, toMs: now });
    this.work.present = subjects;
  }

  #noteOffset(): void {
    this.offsets.push({ fromMs: this.clock.realMs, offsetMs: this.clock.now() - this.clock.realMs });
  }

  /** The real time at which the clock first showed this time. */
  realAt(wallMs: number): number {
    for (const [index, { fromMs, offsetMs }] of this.offsets.entries()) {
      const toMs = this.offsets[index + 1]?.fromMs ?? Infinity;
      if (toMs + offsetMs > wallMs) return Math.max(fromMs, wallMs - offsetMs);
    }
    return Infinity;
  }

  [Symbol.dispose](): void {
    this.catalog[Symbol.dispose]();
  }
}

/** When this much time outside of these spans has passed since `fromMs`. */
function afterFreeTime(fromMs: number, freeMs: number, spans: readonly Span[]): number {
  let at = fromMs;
  let left = freeMs;
  for (const { fromMs: busyFrom, toMs } of spans.toSorted((a, b) => a.fromMs - b.fromMs)) {
    if (toMs <= at) continue;
    if (busyFrom - at >= left) break;
    left -= Math.max(0, busyFrom - at);
    at = Math.max(at, toMs);
  }
  return at + left;
}

const db = [someSubject('db-a'), someSubject('db-b', { stack: 'shop' })];
const others = [
  someSubject('web', { stack: 'shop' }),
  someSubject('files', { stack: 'shop' }),
  someSubject('media'),
];
const etc = someSubject('/etc/app', { kind: 'path' });

async function live(year: Year, seed: number): Promise<void> {
  const next = random(seed);
  const between = (least: number, most: number): number => least + Math.floor(next() * (most - least));
  const base = [...db, ...others, etc];
  year.set(base);
  year.start();
  for (let now = 0; now < 365 * dayMs; now = year.clock.realMs) {
    await year.clock.pass(between(hourMs, 30 * hourMs));
    if (now > 120 * dayMs && now < 250 * dayMs) year.set([...base, someSubject('late')]);
    if (now > 250 * dayMs) year.set(base);
    const what = next();
    if (what < 0.12) {
      await year.kill();
      if (next() < 0.5) await year.downFor(between(0, 20 * minuteMs));
      year.start();
    } else if (what < 0.2) {
      await year.stop();
      await year.downFor(between(0, 6 * hourMs));
      year.start();
    } else if (what < 0.23) {
      await year.kill();
      await year.downFor(between(dayMs, 6 * dayMs));
      year.start();
    } else if (what < 0.27) year.jump(between(-50 * minuteMs, 50 * minuteMs));
    else if (what < 0.31)
      await away(
        year,
        year.hostAway,
        () => (year.work.hostFault = new AppError('unavailable', 'The host is away')),
      );
    else if (what < 0.35)
      await away(year, year.offsiteAway, () => {
        year.work.repositoryFault = (name) =>
          name === 'offsite' ? new AppError('unavailable', 'away') : undefined;
      });
  }
  await year.clock.pass(6 * hourMs);
  await year.stop();

  async function away(of: Year, spans: Span[], begin: () => void): Promise<void> {
    const fromMs = of.clock.realMs;
    begin();
    await of.clock.pass(between(10 * minuteMs, 50 * hourMs));
    of.work.hostFault = undefined;
    of.work.repositoryFault = () => undefined;
    spans.push({ fromMs, toMs: of.clock.realMs });
  }
}

interface Judgement {
  readonly expected: number;
  readonly missed: string[];
  readonly doubled: string[];
  readonly late: string[];
}

/** Compares what was saved with each schedule, independently of the daemon's own computation. */
function judge(year: Year, task: Task): Judgement {
  const { subject, policy, repository, timetable, delayMs } = task;
  const name = subject?.name ?? '';
  const saves = year.work.saves.filter(
    (save) =>
      save.policy === policy.name &&
      save.repository === repository &&
      save.name === name &&
      save.endMs !== undefined,
  );
  const life = year.lives.get(name) ?? { fromMs: 0, toMs: Infinity };
  const busy = [...year.down, ...year.hostAway, ...(repository === 'offsite' ? year.offsiteAway : [])];
  const times = timesBetween(timetable, {
    afterMs: Date.parse('2026-01-01T00:00:00Z'),
    untilMs: year.clock.now(),
    atMost: 99_999,
  });
  const told: Judgement = { expected: times.length, missed: [], doubled: [], late: [] };
  for (const [index, time] of times.entries()) {
    const nextWall = (times[index + 1] ?? Infinity) + delayMs;
    const own = saves.filter(({ startMs }) => startMs >= time + delayMs && startMs < nextWall);
    if (own.length > 1) told.doubled.push(new Date(time).toISOString());
    const dueMs = year.realAt(time + delayMs);
    // Retries wait half an hour at most, and jobs before it in the queue take a while.
    const untilMs = afterFreeTime(dueMs, 90 * minuteMs, busy);
    if (dueMs < life.fromMs || untilMs > life.toMs || untilMs > year.clock.realMs) continue;
    const isMadeUp = saves.some(({ startRealMs }) => startRealMs >= dueMs && startRealMs <= untilMs);
    if (!isMadeUp) told.missed.push(new Date(time).toISOString());
    // A failed run that began in time may be retried later; one missed while no daemon ran may not.
    const lateFromMs = afterFreeTime(dueMs, 40 * minuteMs, year.hostAway);
    if (!policy.catchUp && own.some(({ startRealMs }) => startRealMs > lateFromMs))
      told.late.push(new Date(time).toISOString());
  }
  return told;
}

/** The snapshots that the rules leave when they are applied after each save. */
function replay(work: FakeWork, { policy, repository, subject }: Task): Snapshot[] {
  let kept: Snapshot[] = [];
  for (const snapshot of work.everMade) {
    const isOwn =
      snapshot.volume?.identity === subject?.identity &&
      snapshot.hostname === repository &&
      snapshot.tags.includes(policyTag(policy.name));
    if (!isOwn || policy.keep === undefined) continue;
    const choice = {
      kind: 'rules',
      rules: policy.keep.rules,
      floor: policy.keep.verified,
      verified: new Set<string>(),
    } as const;
    const limits = { allowEmpty: false, nowMs: Date.parse(snapshot.time) + 60_000 };
    const decisions = planForget([...kept, snapshot], choice, limits).groups.flatMap(
      (group) => group.decisions,
    );
    const stays = new Set(decisions.filter((change) => change.stays).map((change) => change.snapshot.id));
    kept = [...kept, snapshot].filter(({ id }) => stays.has(id));
  }
  return kept;
}

test.each([1])(
  'a year of policies: nothing is missed, nothing doubled, and what stays is what the rules say (%i)',
  async (seed) => {
    using year = new Year();
    await live(year, seed);
    const { work } = year;
    const everyone = [...db, ...others, etc, someSubject('late')];
    const tasks = planTasks(work.configured, everyone, { defaultRepository: 'main' }).filter(
      ({ action }) => action === 'backup',
    );
    expect(
      tasks.map(({ policy, repository, subject }) => `${policy.name} ${repository} ${subject?.name}`),
    ).toHaveLength(10);
    for (const task of tasks) {
      const { missed, doubled, late, expected } = judge(year, task);
      const label = `${task.policy.name} ${task.repository} ${task.subject?.name}`;
      expect(expected).toBeGreaterThanOrEqual(12);
      expect({ label, doubled, late }).toEqual({ label, doubled: [], late: [] });
      if (task.policy.catchUp) expect({ label, missed }).toEqual({ label, missed: [] });
    }
    expect(work.saves.length).toBeGreaterThan(8000);
    // Kills did hit backups, and a backup that was saved before its end was recorded was not repeated.
    expect(work.saves.filter(({ endMs }) => endMs === undefined).length).toBeGreaterThan(3);
    expect(year.catalog.policies.listRuns({ open: true, limit: 10 })).toEqual([]);
    // Retention: a preview now finds nothing more to remove.
    expect(work.forgotten).toBeGreaterThan(3000);
    for (const task of tasks) {
      const { subject, policy, repository } = task;
      if (subject === undefined || policy.keep === undefined) continue;
      expect(work.previewForget({ policy, repository, subjects: [subject] })).toEqual([]);
      const kept = work.snapshots.filter(
        (one) =>
          one.volume?.identity === subject.identity &&
          one.hostname === repository &&
          one.tags.includes(policyTag(policy.name)),
      );
      // Applying the rules after each save, as a preview on each day would, leaves the same snapshots.
      expect(kept.map(({ id }) => id)).toEqual(replay(work, task).map(({ id }) => id));
    }
    expect(work.prunes.length).toBeGreaterThan(80);
    expect(year.said.filter((line) => line.includes('Two at once'))).toEqual([]);
  },
  240_000,
);
