import { expect, test } from 'vitest';
import type { Consumer } from '../model/volume.ts';
import { type GradeReason, gradeStill, type StillFacts } from './grade.ts';
import { namesOfWriters } from '../quiesce/quiesce.ts';
import { consumersOfPath } from '../quiesce/path-consumers.ts';

function consumer(name: string, fields: Partial<Consumer> = {}): Consumer {
  return {
    id: name,
    name,
    image: 'i',
    state: 'running',
    stack: undefined,
    service: undefined,
    path: '/data',
    readOnly: false,
    ...fields,
  };
}

/** For a host that lists consumers, and no containers. */
function gradeOf(
  before: readonly Consumer[],
  after: readonly Consumer[],
  seen: Partial<StillFacts> = {},
): GradeReason {
  const writers = namesOfWriters([...before, ...after]);
  return gradeStill({ how: undefined, apps: [], writers, disturbed: [], hostProcesses: [], ...seen });
}

test('a snapshot is cold when nothing could write, before or after', () => {
  expect(gradeOf([], [])).toMatchObject({ grade: 'cold' });
  expect(gradeOf([consumer('a', { state: 'exited' })], [consumer('b', { readOnly: true })])).toMatchObject({
    grade: 'cold',
  });
});

test('a snapshot is torn when a container could write before, or had been started by the end, which it names', () => {
  expect(gradeOf([consumer('db')], [])).toMatchObject({
    grade: 'torn',
    reason: expect.stringContaining('"db"'),
  });
  expect(gradeOf([], [consumer('late', { state: 'paused' })])).toMatchObject({ grade: 'torn' });
});

test('consumersOfPath() finds containers that mount the directory, something in it, or something around it', () => {
  const mount = (source: string) => ({
    type: 'bind' as const,
    source,
    destination: '/x',
    readOnly: false,
    driver: undefined,
    consumer: consumer(source),
  });
  const mounts = [
    mount('/srv/data'),
    mount('/srv/data/sub'),
    mount('/srv'),
    mount('/'),
    mount('/srv/data2'),
    mount('/other'),
  ];
  expect(consumersOfPath(mounts, '/srv/data').map(({ name }) => name)).toEqual([
    '/srv/data',
    '/srv/data/sub',
    '/srv',
    '/',
  ]);
});

const paused: StillFacts = {
  how: 'pause',
  apps: [{ name: 'db', stillMs: 42.4 }],
  writers: [],
  disturbed: [],
  hostProcesses: [],
};

test('gradeStill() is crash for one moment, and says how long it lasted', () => {
  expect(gradeStill(paused)).toEqual({ grade: 'crash', reason: '"db" still for 42 ms' });
});

test('gradeStill() is cold when all were stopped, or none had to be', () => {
  expect(gradeStill({ ...paused, how: 'stop' })).toEqual({ grade: 'cold', reason: '"db" stopped for 42 ms' });
  expect(gradeStill({ ...paused, how: undefined, apps: [] })).toMatchObject({ grade: 'cold' });
});

test('gradeStill() is app when the application made it consistent', () => {
  const made = { grade: 'app', evidence: 'checkpoint in "db"' } as const;
  expect(gradeStill({ ...paused, made })).toEqual({
    grade: 'app',
    reason: 'checkpoint in "db", "db" still for 42 ms',
  });
  expect(gradeStill({ ...paused, made: { ...made, grade: 'crash' } }).grade).toBe('crash');
});

test.each([
  ['another container could write', { writers: ['web'] }, '"web"'],
  ['another program let one run meanwhile', { disturbed: ['db'] }, '"db"'],
  ['a process of the machine could write', { hostProcesses: ['process 42 ("vi")'] }, 'process 42 ("vi")'],
])('gradeStill() is torn when %s', (_, facts, name) => {
  const made = { grade: 'app', evidence: 'x' } as const;
  expect(gradeStill({ ...paused, made, ...facts })).toEqual({
    grade: 'torn',
    reason: `${name} could write while it was read`,
  });
});

test.each([
  [
    'one had to be killed',
    { killed: [{ name: 'db', afterMs: 10_049 }] },
    '"db" did not stop by itself and was killed after 10.0 s',
  ],
  [
    'it is not known how one ended',
    { killed: [{ name: 'db', afterMs: undefined }] },
    'it is not known whether "db" stopped by itself',
  ],
  ['one was paused by its user', { paused: ['web'] }, '"web" was paused'],
])('gradeStill() is not cold by a stop when %s', (_, facts, reason) => {
  expect(gradeStill({ ...paused, how: 'stop', ...facts })).toEqual({ grade: 'crash', reason });
});

test.each(['pause', 'stop', undefined] as const)(
  'gradeStill() is torn when the data shows that it was written to while it was still: %s',
  (how) => {
    const facts = { ...paused, how, traces: ['"x" was removed before it was read'] };
    expect(gradeStill(facts)).toEqual({
      grade: 'torn',
      reason: 'something wrote to it: "x" was removed before it was read',
    });
    expect(gradeOf([], [], facts).grade).toBe('torn');
  },
);
