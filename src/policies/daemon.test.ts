import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../catalog/catalog.ts';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { AppError } from '../model/errors.ts';
import { configurationShape } from './configuration/configuration.ts';
import { readDocument } from '../lib/read-document.ts';
import { runDaemon } from './daemon.ts';
import { FakeClock } from '../../test/fixtures/fake-clock.ts';
import { FakeWork, someSubject } from '../../test/fixtures/fake-work.ts';

const minuteMs = 60_000;

let clock: FakeClock;
let work: FakeWork;
let catalog: Catalog;
let said: string[];
let stop: AbortController;
let daemon: Promise<void>;
let reload: () => void;

beforeEach(() => {
  clock = new FakeClock(Date.parse('2026-03-02T12:00:00Z'));
  work = new FakeWork(clock);
  catalog = openSqliteCatalog(':memory:');
  said = [];
});
afterEach(async () => {
  stop.abort();
  await clock.pass(10 * minuteMs);
  await daemon;
  catalog[Symbol.dispose]();
});

function configure(yaml: string): void {
  const configured = readDocument(yaml, configurationShape, 'h.yaml')?.value;
  if (configured === undefined) throw new Error('no configuration');
  work.configured = { ...configured, file: 'h.yaml', values: [] };
}

function start(): void {
  stop = new AbortController();
  daemon = runDaemon(
    { clock, memory: catalog.policies, work, say: (line) => void said.push(line) },
    {
      signal: stop.signal,
      graceMs: 30_000,
      lookEveryMs: minuteMs,
      onReloader: (found) => (reload = found),
    },
  );
}

const failures = (): string[] =>
  work.told.flatMap(({ what, subject, message }) => (what === 'failed' ? [`${subject}: ${message}`] : []));
const recoveries = (): string[] =>
  work.told.flatMap(({ what, onlyRecovery, subject }) => (what === 'good' && onlyRecovery ? [subject] : []));
const countOf = (name: string): number => work.saves.filter((save) => save.name === name).length;

describe('a host that is away', () => {
  const away = new AppError('unavailable', 'Cannot reach Docker', {
    detail: 'connection refused',
    hint: 'Start it.',
  });

  test.each([
    ['one look is told to no one', 1, 0],
    ['two looks in a row is told, with its reason', 2, 1],
  ])('at %s', async (_what, looks, tellings) => {
    configure(`policies: { p: { schedule: '0 5 * * *' } }`);
    work.present = [someSubject('pg')];
    start();
    await clock.pass(minuteMs);
    work.hostFault = away;
    await clock.pass(looks * minuteMs);
    work.hostFault = undefined;
    await clock.pass(2 * minuteMs);
    const told = work.told.filter(({ what }) => what === 'failed');
    expect(told).toHaveLength(tellings);
    expect(told.map(({ detail }) => detail)).toEqual(told.map(() => 'connection refused'));
  });

  test('leaves a running daemon its volumes: they are retried, and people are notified until it is back', async () => {
    configure(`policies: { p: { schedule: '*/5 * * * *' } }`);
    work.present = [someSubject('pg')];
    work.saveMs = 1000;
    start();
    await clock.pass(6 * minuteMs);
    expect(countOf('pg')).toBe(1);
    work.hostFault = away;
    await clock.pass(10 * minuteMs);
    expect(failures()).toContain('all volumes: Cannot reach Docker');
    expect(said.filter((line) => line.includes('cannot be listed'))).toEqual([
      'Warning: the volumes cannot be listed: Cannot reach Docker: connection refused. Start it.',
    ]);
    const runs = catalog.policies.listRuns({ policy: 'p', limit: 99 });
    expect(runs.filter(({ end }) => end?.outcome === 'failed').length).toBeGreaterThan(1);
    work.hostFault = undefined;
    await clock.pass(6 * minuteMs);
    expect(countOf('pg')).toBeGreaterThan(1);
    expect(recoveries().filter((subject) => subject === 'all volumes')).toHaveLength(2);
  });

  test('takes no bind mount out of the schedule: this machine still has it', async () => {
    configure(`policies: { p: { schedule: '*/5 * * * *', bind-mounts: true } }`);
    work.present = [someSubject('/srv/site', { kind: 'path', containers: ['web'] })];
    work.saveMs = 1000;
    start();
    await clock.pass(6 * minuteMs);
    work.hostFault = away;
    const runsOf = (): number => catalog.policies.listRuns({ policy: 'p', limit: 99 }).length;
    const before = runsOf();
    await clock.pass(6 * minuteMs);
    expect(runsOf()).toBeGreaterThan(before);
  });

  test('does not keep directories from being saved, and is reported by a daemon that starts without it', async () => {
    configure(
      `policies: { p: { schedule: '*/5 * * * *', paths: /etc/app }, q: { schedule: '*/5 * * * *' } }`,
    );
    work.present = [someSubject('pg'), someSubject('/etc/app', { kind: 'path' })];
    work.saveMs = 1000;
    work.hostFault = away;
    // Only what is on the host fails.
    const backup = work.backup.bind(work);
    work.backup = async (job, options) => {
      if (job.subjects.some(({ kind }) => kind === 'volume')) throw away;
      work.hostFault = undefined;
      return await backup(job, options).finally(() => (work.hostFault = away));
    };
    start();
    await clock.pass(11 * minuteMs);
    expect(countOf('/etc/app')).toBe(2);
    expect(failures()[0]).toBe('all volumes: Cannot reach Docker');
    expect(said.filter((line) => line.includes('about nothing'))).toEqual([]);
  });
});

describe('a volume of a stack that fails temporarily', () => {
  const jobs: string[][] = [];
  /** Fails one volume, as a lock or an unreachable server does; the others are saved. */
  const failTimes = (name: string, times: number, code: 'locked' | 'failed' = 'locked'): void => {
    const backup = work.backup.bind(work);
    let left = times;
    jobs.length = 0;
    work.backup = async (job, options) => {
      jobs.push(job.subjects.map((subject) => subject.name).toSorted());
      const fails = job.subjects.some((subject) => subject.name === name) && left-- > 0;
      const rest = fails ? job.subjects.filter((subject) => subject.name !== name) : job.subjects;
      const saved = await backup({ ...job, subjects: rest }, options);
      const error = new AppError(code, 'Cannot save it now');
      const lost = {
        outcome: 'failed',
        snapshotId: undefined,
        repositoryId: undefined,
        anomalies: [],
        error,
      } as const;
      return [...saved, ...(fails ? [{ identity: `id-${name}`, ...lost }] : [])];
    };
  };

  beforeEach(() => {
    configure(`policies: { p: { schedule: '30 12 * * *' } }`);
    work.present = ['db', 'files', 'cache'].map((name) => someSubject(name, { stack: 'shop' }));
    work.present = [...work.present, someSubject('web')];
    work.saveMs = 1000;
  });
  const all = ['cache', 'db', 'files'];
  const ofShop = (): string[][] => jobs.filter((names) => !names.includes('web'));

  test('is retried with the rest of the stack, so that there is a complete moment', async () => {
    failTimes('files', 1);
    start();
    await clock.pass(6 * 60 * minuteMs);
    expect(ofShop()).toEqual([all, all]);
    expect(jobs.filter((names) => names.includes('web'))).toEqual([['web']]);
  });

  test('is retried with the rest a few times only, and then by itself', async () => {
    failTimes('files', 8);
    start();
    await clock.pass(6 * 60 * minuteMs);
    expect(ofShop()).toEqual([...Array.from({ length: 6 }, () => all), ['files'], ['files'], ['files']]);
  });

  test('leaves the rest done, even if one of them fails in the retry', async () => {
    failTimes('files', 1);
    const once = work.backup;
    work.backup = async (job, options) => {
      const found = await once(job, options);
      const error = new AppError('locked', 'It is in use');
      return found.map((one) =>
        ofShop().length > 1 && one.identity === 'id-db' ? { ...one, outcome: 'failed', error } : one,
      );
    };
    start();
    await clock.pass(6 * 60 * minuteMs);
    expect(ofShop()).toEqual([all, all]);
    expect(said.filter((line) => line.includes('tried again'))).toHaveLength(1);
  });
});

test('a policy that matches nothing is reported once, and again when that recurs', async () => {
  configure(`policies: { p: { schedule: '*/5 * * * *', volumes: 'pg-*' } }`);
  start();
  const lines = (): string[] => said.filter((line) => line.includes('is about nothing that there is'));
  await clock.pass(5 * minuteMs);
  expect(lines()).toEqual(['Warning: the policy "p" is about nothing that there is.']);
  work.present = [someSubject('pg-1')];
  await clock.pass(5 * minuteMs);
  work.present = [];
  await clock.pass(5 * minuteMs);
  expect(lines()).toHaveLength(2);
});

test.each([
  ['integrity', ['pg: The snapshots of "pg" are not thinned out: A snapshot cannot be read']],
  ['locked', []],
] as const)(
  'snapshots that are not thinned out are told, unless it passes by itself: %s',
  async (code, told) => {
    configure(`policies: { p: { schedule: '*/5 * * * *', keep: { last: 1 } } }`);
    work.present = [someSubject('pg')];
    work.saveMs = 1000;
    work.forgetFault = new AppError(code, 'A snapshot cannot be read');
    start();
    await clock.pass(7 * minuteMs);
    expect(failures()).toEqual(told);
    work.forgetFault = undefined;
    await clock.pass(6 * minuteMs);
    expect(recoveries()).toContain('pg');
  },
);

describe('a configuration that cannot be used', () => {
  const broken = new AppError('usage', 'The configuration in "h.yaml" cannot be used', {
    detail: 'h.yaml:1:3: policies must be a map\nh.yaml:9:9: more',
  });
  const told =
    'the configuration: The configuration in "h.yaml" cannot be used; the one before stays in force';

  test('is reported at a reload, and once it is usable again', async () => {
    configure(`policies: { p: { schedule: '*/5 * * * *' } }`);
    work.present = [someSubject('pg')];
    work.saveMs = 1000;
    start();
    await clock.pass(1000);
    work.configurationFault = broken;
    reload();
    await clock.pass(1000);
    expect(failures()).toEqual([told]);
    expect(work.told.at(-1)?.detail).toContain('h.yaml:1:3: policies must be a map');
    expect(said.join('\n')).toContain('the one before stays in force.\nh.yaml:1:3: policies must be a map');
    await clock.pass(11 * minuteMs);
    expect(countOf('pg')).toBe(2);
    work.configurationFault = undefined;
    reload();
    await clock.pass(1000);
    expect(recoveries().at(-1)).toBe('the configuration');
  });

  test('is reported without a reload, at the second look', async () => {
    configure(`policies: {}`);
    start();
    await clock.pass(1000);
    work.configurationFault = broken;
    await clock.pass(minuteMs);
    expect(failures()).toEqual([]);
    await clock.pass(minuteMs);
    expect(failures()).toEqual([told]);
    work.configurationFault = undefined;
    await clock.pass(minuteMs);
    expect(recoveries().at(-1)).toBe('the configuration');
  });
});

describe('a daemon that is always busy', () => {
  const counts = (): number[] => ['a', 'b', 'c'].map(countOf);

  test('gives each volume its turn', async () => {
    configure(`policies: { p: { schedule: '*/5 * * * * *' } }`);
    work.present = ['a', 'b', 'c'].map((name) => someSubject(name));
    work.saveMs = 7000;
    start();
    await clock.pass(60 * minuteMs);
    expect(Math.min(...counts())).toBeGreaterThan(50);
    expect(Math.max(...counts()) - Math.min(...counts())).toBeLessThan(3);
  });

  test('forgets and prunes at its times, however often backups are due', async () => {
    configure(
      `policies: { p: { schedule: '*/5 * * * * *', keep: { last: 3 }, prune: '*/5 * * * *' }, q: { paths: /etc/app, schedule: '*/5 * * * * *' } }`,
    );
    work.present = [
      ...['a', 'b', 'c'].map((name) => someSubject(name)),
      someSubject('/etc/app', { kind: 'path' }),
    ];
    work.saveMs = 7000;
    start();
    await clock.pass(120 * minuteMs);
    expect(work.prunes.length).toBeGreaterThan(5);
    expect(work.forgotten).toBeGreaterThan(100);
    expect(Math.max(...counts()) - Math.min(...counts())).toBeLessThan(3);
  });
});
