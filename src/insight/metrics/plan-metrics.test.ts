import { describe, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import { openTimetable } from '../../lib/schedule.ts';
import type { PolicyLook } from '../../policies/index.ts';
import { planMetrics } from './plan-metrics.ts';
import { readFacts } from './read-facts.ts';
import { formatMetrics } from './text-format.ts';

type Task = PolicyLook['tasks'][number];
type Subject = PolicyLook['subjects'][number];

const hourMs = 3_600_000;
/** A Sunday, at half past noon. */
const nowMs = Date.parse('2026-03-01T12:30:00Z');

function subject(name: string, rest: Partial<Subject> = {}): Subject {
  return { kind: 'volume', name, identity: `id-${name}`, skipped: undefined, ...rest } as Subject;
}

function backupOf(of: Subject, pattern: string): Task {
  return {
    key: `backup ${of.identity}`,
    action: 'backup',
    policy: { name: 'p' },
    repository: 'r',
    subject: of,
    schedule: pattern,
    timetable: openTimetable({ patterns: [pattern], timeZone: 'UTC' }),
    delayMs: 0,
    percent: 0,
  } as unknown as Task;
}

const at = (ms: number): string => new Date(ms).toISOString();

interface Run {
  readonly scheduledMs: number;
  readonly outcome: 'good' | 'failed' | undefined;
  /** A run by hand has none. */
  readonly schedule?: string | undefined;
}

/** The metrics, by a real catalog in memory in which these runs were recorded. */
async function metricsOf(
  tasks: readonly Task[],
  runs: Readonly<Record<string, readonly Run[]>>,
  isDaemonThere = true,
) {
  using catalog = openSqliteCatalog(':memory:');
  for (const task of tasks)
    for (const { scheduledMs, outcome, schedule = task.schedule } of runs[task.subject?.name ?? ''] ?? []) {
      const cursor = {
        task: task.key,
        schedule,
        handledUntil: at(scheduledMs),
        dueAt: undefined,
        attempts: 0,
      };
      const number = catalog.policies.beginRun(
        {
          policy: 'p',
          action: 'backup',
          repository: 'r',
          subject: task.subject?.identity ?? '',
          name: task.subject?.name ?? '',
          scheduledAt: at(scheduledMs),
          startedAt: at(scheduledMs + 1000),
        },
        { ...cursor, retryAt: undefined },
      );
      const end = { endedAt: at(scheduledMs + 60_000), snapshotId: undefined, message: undefined };
      if (outcome !== undefined) catalog.policies.endRun(number, { ...end, outcome }, undefined);
    }
  const facts = await readFacts(catalog, { stateDir: '/nowhere', nowMs });
  const subjects = tasks.flatMap((task) => task.subject ?? []);
  const look = { atMs: nowMs, isHostSeen: true, subjects, tasks };
  return planMetrics({ look, facts, io: [], isDaemonThere, intervalMs: () => hourMs, nowMs });
}

function valueOf(families: Awaited<ReturnType<typeof metricsOf>>, name: string, volume: string) {
  const found = families.find((family) => family.name === name)?.samples ?? [];
  return found.filter(({ labels }) => labels['volume'] === volume).map(({ value }) => value);
}

const due = 'holdfast_policy_next_due_timestamp_seconds';
const pg = subject('pg');
const hourly = '0 * * * *';
const noon = Date.parse('2026-03-01T12:00:00Z');

describe('the next due time', () => {
  test.each<[string, readonly Run[], number]>([
    ['is to come after a good run', [{ scheduledMs: noon, outcome: 'good' }], noon + hourMs],
    ['stays where a run failed', [{ scheduledMs: noon, outcome: 'failed' }], noon],
    [
      'stays at the first of several that failed',
      [-3, -2, -1, 0].map((hours) => ({
        scheduledMs: noon + hours * hourMs,
        outcome: hours === -3 ? 'good' : 'failed',
      })),
      noon - 2 * hourMs,
    ],
    ['stays while the first run is under way', [{ scheduledMs: noon, outcome: undefined }], noon],
    [
      'is by the last good run when the daemon did not run since',
      [{ scheduledMs: noon - 5 * hourMs, outcome: 'good' }],
      noon - 4 * hourMs,
    ],
    [
      'counts from the change of a schedule',
      [
        { scheduledMs: noon - 50 * hourMs, outcome: 'good', schedule: '0 0 * * 0' },
        { scheduledMs: noon, outcome: undefined },
      ],
      noon,
    ],
    [
      'is not moved on by a run that a wrong clock made',
      [
        { scheduledMs: noon - hourMs, outcome: 'failed' },
        { scheduledMs: noon + 1000 * hourMs, outcome: 'good' },
      ],
      noon - hourMs,
    ],
    [
      'is by the next good run after a wrong clock’s',
      [
        { scheduledMs: noon + 1000 * hourMs, outcome: 'good' },
        { scheduledMs: noon, outcome: 'good' },
      ],
      noon + hourMs,
    ],
    [
      'stays at what fails after a wrong clock has begun the first run',
      [
        { scheduledMs: noon + 1000 * hourMs, outcome: 'failed' },
        { scheduledMs: noon - hourMs, outcome: 'failed' },
        { scheduledMs: noon, outcome: 'failed' },
      ],
      noon - hourMs,
    ],
  ])('%s', async (_, runs, expected) => {
    const families = await metricsOf([backupOf(pg, hourly)], { pg: runs });
    expect(valueOf(families, due, 'pg')).toEqual([expected / 1000]);
  });

  test('of a new volume is to come', async () => {
    expect(valueOf(await metricsOf([backupOf(pg, hourly)], {}), due, 'pg')).toEqual([(noon + hourMs) / 1000]);
  });

  test('of a volume that was never saved has passed when there is no daemon', async () => {
    const [old, young] = [noon - hourMs, noon + 60_000].map((ms) => subject('pg', { createdAt: at(ms) }));
    const dueOf = async (of: Subject) =>
      valueOf(await metricsOf([backupOf(of, hourly)], {}, false), due, 'pg');
    expect(await dueOf(pg)).toEqual([noon / 1000]);
    expect(await dueOf(old!)).toEqual([noon / 1000]);
    expect(await dueOf(young!)).toEqual([(noon + hourMs) / 1000]);
  });

  test('is by the last good run of a policy that is only run by hand', async () => {
    using catalog = openSqliteCatalog(':memory:');
    const run = { policy: 'p', action: 'backup', repository: 'r', subject: 'id-pg', name: 'pg' } as const;
    const times = { scheduledAt: at(noon - 3 * hourMs), startedAt: at(noon - 3 * hourMs) };
    const end = { endedAt: at(noon), outcome: 'good', snapshotId: undefined, message: undefined } as const;
    catalog.policies.endRun(catalog.policies.beginRun({ ...run, ...times }, undefined), end, undefined);
    const facts = await readFacts(catalog, { stateDir: '/nowhere', nowMs });
    const look = { atMs: nowMs, isHostSeen: true, subjects: [pg], tasks: [backupOf(pg, hourly)] };
    const families = planMetrics({
      look,
      facts,
      io: [],
      isDaemonThere: true,
      intervalMs: () => hourMs,
      nowMs,
    });
    expect(valueOf(families, due, 'pg')).toEqual([(noon - 2 * hourMs) / 1000]);
  });
});

test('the catalog keeps the last good run longer than the history of runs', async () => {
  using catalog = openSqliteCatalog(':memory:');
  const run = {
    policy: 'p',
    action: 'backup' as const,
    repository: 'r',
    subject: 'id',
    name: 'pg',
    scheduledAt: at(noon),
    startedAt: at(noon),
  };
  const end = { endedAt: at(noon + 5), outcome: 'good' as const, snapshotId: 'abc', message: undefined };
  catalog.policies.endRun(catalog.policies.beginRun(run, undefined), end, undefined);
  // A later failure changes nothing of it.
  const later = { ...run, scheduledAt: at(noon + hourMs), startedAt: at(noon + hourMs) };
  catalog.policies.endRun(
    catalog.policies.beginRun(later, undefined),
    { ...end, outcome: 'failed' },
    undefined,
  );
  expect(catalog.policies.listAnswers()).toMatchObject([
    { since: at(noon), schedule: undefined, good: { scheduledAt: at(noon), endedAt: at(noon + 5) } },
  ]);
});

test('a clock that jumps ahead by years leaves what is known of other volumes', async () => {
  const other = subject('other');
  const families = await metricsOf([backupOf(pg, hourly), backupOf(other, hourly)], {
    pg: [{ scheduledMs: noon, outcome: 'good' }],
    other: [{ scheduledMs: noon + 100_000 * hourMs, outcome: 'good' }],
  });
  const good = 'holdfast_snapshot_last_success_timestamp_seconds';
  expect(valueOf(families, good, 'pg')).toEqual([noon / 1000 + 60]);
});

test('anonymous volumes share one series, which tells the worst of them', async () => {
  const [a, b] = ['a', 'b'].map((name) => backupOf(subject(name, { isAnonymous: true }), hourly));
  const families = await metricsOf([a!, b!], {
    a: [{ scheduledMs: noon, outcome: 'good' }],
    b: [{ scheduledMs: noon - 3 * hourMs, outcome: 'failed' }],
  });
  expect(valueOf(families, due, '')).toEqual([(noon - 3 * hourMs) / 1000]);
  expect(valueOf(families, due, 'a')).toEqual([]);
  const volumes = families.find(({ name }) => name === 'holdfast_volumes')?.samples;
  expect(volumes).toEqual([
    { labels: { kind: 'anonymous', state: 'protected' }, value: 1 },
    { labels: { kind: 'anonymous', state: 'late' }, value: 1 },
  ]);
});

test('a hostile name stays on its line, and two that look the same make one series', async () => {
  const evil = 'x"} 1\nholdfast_policy_attempts{a="\u001b\u202e\\';
  const tasks = [evil, 'a\u001b', 'a\\u001b', 'lone \ud800'].map((name, index) =>
    backupOf(subject(name, { identity: `i${index}`, kind: 'path' }), hourly),
  );
  const text = formatMetrics(await metricsOf(tasks, {}));
  // oxlint-disable-next-line no-control-regex -- these are what must not be there
  expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\u202e]/);
  const lines = text.split('\n').filter((line) => line.startsWith('holdfast_policy_attempts{'));
  expect(lines).toHaveLength(3);
  expect(new Set(lines).size).toBe(3);
  expect(lines[0]).toBe(
    String.raw`holdfast_policy_attempts{action="backup",policy="p",kind="path",volume="x\"} 1\\u000aholdfast_policy_attempts{a=\"\\u001b\\u202e\\",repository="r"} 0`,
  );
});

test('a volume is protected, late, waiting, unprotected or left out', async () => {
  const late = subject('late');
  const waiting = subject('waiting');
  const families = await metricsOf(
    [backupOf(pg, hourly), backupOf(late, hourly), backupOf(waiting, hourly)],
    {
      pg: [{ scheduledMs: noon, outcome: 'good' }],
      late: [{ scheduledMs: noon, outcome: 'failed' }],
    },
  );
  expect(families.find(({ name }) => name === 'holdfast_volume_protected')?.samples).toEqual([
    { labels: { kind: 'volume', volume: 'pg', state: 'protected' }, value: 1 },
    { labels: { kind: 'volume', volume: 'late', state: 'late' }, value: 0 },
    { labels: { kind: 'volume', volume: 'waiting', state: 'waiting' }, value: 0 },
  ]);
});

test('sizes are the last known ones, and a disk that grows will be full at a time', async () => {
  using catalog = openSqliteCatalog(':memory:');
  const place = {
    kind: 'volume',
    lineage: undefined,
    driver: 'local',
    stack: undefined,
    anonymous: false,
    disk: '/',
    files: 3,
    capacityBytes: undefined,
    freeBytes: undefined,
    measuredAtMs: nowMs,
    way: 'walked',
    problem: undefined,
    growthBytesPerDay: undefined,
  } as const;
  const disk = { kind: 'disk', name: '/', bytes: 90, capacityBytes: 100, freeBytes: 10 } as const;
  catalog.usage.write({
    host: { identity: 'h', kind: 'embedded', endpoint: '', lookedAtMs: nowMs },
    places: [
      { ...place, name: 'pg', bytes: 40 },
      { ...place, name: 'a', bytes: 20, anonymous: true },
      { ...place, name: 'b', bytes: 30, anonymous: true },
      { ...place, name: 'unmeasured', bytes: undefined, files: undefined, measuredAtMs: undefined },
      { ...place, ...disk, growthBytesPerDay: 5 },
    ],
    gone: [],
    samples: [],
    kept: [],
  });
  const facts = await readFacts(catalog, { stateDir: '/nowhere', nowMs });
  const text = formatMetrics(
    planMetrics({ look: undefined, facts, io: [], isDaemonThere: true, intervalMs: () => 0, nowMs }),
  );
  expect(text).toContain('holdfast_volume_size_bytes{kind="volume",volume="pg"} 40\n');
  expect(text).toContain('holdfast_volume_size_bytes{kind="anonymous",volume=""} 50\n');
  expect(text).toContain('holdfast_volume_files{kind="anonymous",volume=""} 6\n');
  expect(text).not.toContain('unmeasured');
  expect(text).toContain('holdfast_disk_free_bytes{disk="/"} 10\n');
  expect(text).toContain(`holdfast_disk_full_timestamp_seconds{disk="/"} ${nowMs / 1000 + 2 * 86_400}\n`);
});

test('what is known of repositories is told by their names, and nothing of those that are not known here', async () => {
  using catalog = openSqliteCatalog(':memory:');
  catalog.saveRepository({
    ...{ name: 'away', location: '/r', repositoryId: 'id', passwordReference: 'file:/x', isDefault: true },
  });
  catalog.noteRepository('id', { at: at(noon), sizeBytes: 700, unusedBytes: 30, check: 'good' });
  catalog.noteRepository('other', { at: at(noon), sizeBytes: 1 });
  const facts = await readFacts(catalog, { stateDir: '/nowhere', nowMs });
  const text = formatMetrics(
    planMetrics({ look: undefined, facts, io: [], isDaemonThere: true, intervalMs: () => 0, nowMs }),
  );
  expect(text.split('\n').filter((line) => line.startsWith('holdfast_repository'))).toEqual([
    'holdfast_repository_size_bytes{repository="away"} 700',
    `holdfast_repository_size_timestamp_seconds{repository="away"} ${noon / 1000}`,
    'holdfast_repository_unused_bytes{repository="away"} 30',
    `holdfast_repository_unused_timestamp_seconds{repository="away"} ${noon / 1000}`,
    `holdfast_repository_check_timestamp_seconds{repository="away",outcome="good"} ${noon / 1000}`,
  ]);
});

test('reads and writes are counters, and those of anonymous volumes share a series', () => {
  const total = { how: 'shared', readBytes: 5, writtenBytes: 6, reads: undefined, writes: 2 } as const;
  const io = [
    { ...total, volume: 'pg' },
    { ...total, volume: undefined },
  ];
  const families = planMetrics({
    ...{ look: undefined, facts: undefined, io, isDaemonThere: true, intervalMs: () => 0, nowMs },
  });
  const text = formatMetrics(families);
  expect(text).toContain('# TYPE holdfast_volume_read_bytes_total counter\n');
  expect(text).toContain('holdfast_volume_read_bytes_total{kind="volume",volume="pg",how="shared"} 5\n');
  expect(text).toContain('holdfast_volume_written_bytes_total{kind="anonymous",volume="",how="shared"} 6\n');
  expect(text).not.toContain('holdfast_volume_reads_total{');
  expect(text).toContain('holdfast_volume_writes_total{kind="volume",volume="pg",how="shared"} 2\n');
});
