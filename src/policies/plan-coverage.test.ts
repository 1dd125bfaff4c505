import { expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import type { Consumer, DataMount, Volume } from '../model/volume.ts';
import { configurationShape } from './configuration/configuration.ts';
import { readDocument } from '../lib/read-document.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';
import { assignPolicies } from './assign-policies.ts';
import { someSubject } from '../../test/fixtures/fake-work.ts';
import { type CoveredPlace, planCoverage } from './plan-coverage.ts';
import type { Subject } from './subject.ts';
import { someVolume } from '../../test/fixtures/some-volume.ts';

const nowMs = Date.parse('2026-03-15T12:00:00Z');
const hoursAgo = (hours: number): string => new Date(nowMs - hours * 3_600_000).toISOString();

const consumer: Consumer = {
  id: 'c1',
  name: 'web-1',
  image: 'nginx',
  state: 'running',
  stack: undefined,
  service: undefined,
  path: '/data',
  readOnly: false,
};

const mount = (more: Partial<DataMount>): DataMount => ({
  type: 'bind',
  source: '/srv/app',
  destination: '/data',
  readOnly: false,
  driver: undefined,
  consumer,
  ...more,
});

interface World {
  readonly policies?: string;
  readonly volumes?: readonly Volume[];
  readonly subjects?: readonly Subject[];
  readonly mounts?: readonly DataMount[];
  readonly snapshots?: readonly Snapshot[];
  readonly commands?: Readonly<Record<string, readonly string[]>>;
}

function cover({
  policies = '',
  volumes = [],
  subjects = volumes.map(({ name }) => someSubject(name)),
  mounts = [],
  snapshots = [],
  commands = {},
}: World): CoveredPlace[] {
  const configuration = readDocument(`policies: { ${policies} }`, configurationShape, 'h')?.value;
  if (configuration === undefined) throw new Error('nothing');
  return planCoverage({
    volumes,
    mounts,
    commands: new Map(Object.entries(commands)),
    subjects,
    assignments: assignPolicies(configuration, subjects),
    snapshots: snapshots.map((one) => ({ isOwn: true, ...one })),
    machines: new Set(['here']),
    nowMs,
  });
}

const snapshotOf = (name: string, time: string, more: Partial<Snapshot> = {}): Snapshot =>
  someSnapshot({ id: `s-${name}`, time, name, identity: `id-${name}`, ...more });

test('a place is protected by a good snapshot that its policy counts as fresh', () => {
  const policies = `p: { schedule: '0 3 * * *', time-zone: UTC }`;
  const volumes = [someVolume('fresh'), someVolume('stale'), someVolume('torn'), someVolume('new')];
  const snapshots = [
    snapshotOf('fresh', hoursAgo(30)),
    snapshotOf('stale', hoursAgo(50)),
    snapshotOf('torn', hoursAgo(1), { problemCount: 2 }),
  ];
  const places = cover({ policies, volumes, snapshots });
  expect(places.map(({ name, state, reason }) => [name, state, reason])).toEqual([
    ['new', 'unprotected', 'the policy "p" is about it, and it was not saved yet'],
    ['stale', 'unprotected', 'the policy "p" is about it, and its newest good snapshot is older than 2d 1h'],
    ['torn', 'unprotected', 'the policy "p" is about it, and none of its snapshots is whole'],
    ['fresh', 'protected', 'by the policy "p"'],
  ]);
  expect(places.at(-1)?.newest).toEqual({ id: 's-fresh', time: hoursAgo(30), ageMs: 30 * 3_600_000 });
});

test("a restore's safety snapshot is no backup, and a manual backup counts for a week", () => {
  const volumes = [someVolume('a'), someVolume('b'), someVolume('c')];
  const snapshots = [
    snapshotOf('a', hoursAgo(24 * 8)),
    snapshotOf('b', hoursAgo(24 * 6)),
    snapshotOf('c', hoursAgo(1), { tags: ['before-restore'] }),
  ];
  expect(cover({ volumes, snapshots }).map(({ name, state }) => [name, state])).toEqual([
    ['a', 'unprotected'],
    ['c', 'unprotected'],
    ['b', 'protected'],
  ]);
});

test('every kind of place is covered: volumes of each kind, binds by source, tmpfs and others by mount point', () => {
  const volumes = [
    someVolume('named'),
    someVolume('0123456789abcdef', { anonymous: true }),
    someVolume('nfs', { driver: 'vieux/sshfs' }),
    someVolume('memory', { options: { type: 'tmpfs' } }),
  ];
  const mounts = [
    mount({}),
    mount({ consumer: { ...consumer, name: 'web-2' } }),
    mount({ type: 'tmpfs', source: undefined, destination: '/run/x' }),
    mount({ type: 'other', source: undefined, destination: '/img' }),
    mount({ source: '/var/run/docker.sock', destination: '/var/run/docker.sock' }),
    mount({ type: 'volume', source: 'named' }),
  ];
  const found = Object.fromEntries(
    cover({ volumes, mounts }).map(({ name, kind, state }) => [name, [kind, state]]),
  );
  expect(found).toEqual({
    named: ['volume', 'unprotected'],
    '0123456789abcdef': ['anonymous', 'unprotected'],
    nfs: ['plugin', 'unprotected'],
    memory: ['tmpfs', 'cache'],
    '/srv/app': ['bind', 'unprotected'],
    'web-1:/run/x': ['tmpfs', 'cache'],
    'web-1:/img': ['other', 'unprotected'],
    '/var/run/docker.sock': ['bind', 'cache'],
  });
  expect(cover({ volumes, mounts }).find(({ name }) => name === '/srv/app')?.consumers).toEqual([
    'web-1',
    'web-2',
  ]);
});

test('a bind mount is protected by a backup of a directory around it', () => {
  const srv = someSubject('/srv', { kind: 'path' });
  const taken = someSnapshot({ id: 's', time: hoursAgo(3), identity: srv.identity });
  const ofPath = {
    ...taken,
    volume: taken.volume && { ...taken.volume, kind: 'path' as const, name: '/srv' },
  };
  const policies = `p: { paths: /srv, schedule: '@daily' }`;
  const places = cover({
    policies,
    subjects: [srv],
    mounts: [mount({}), mount({ source: '/srvother' })],
    snapshots: [ofPath],
  });
  expect(places.map(({ name, state }) => [name, state])).toEqual([
    ['/srvother', 'unprotected'],
    ['/srv', 'protected'],
    ['/srv/app', 'protected'],
  ]);
});

test('a bind mount that a link leads to is protected by a snapshot of its own only', () => {
  const subjects = [
    someSubject('/srv', { kind: 'path', containers: ['web'], at: { path: '/srv', device: 1 } }),
    someSubject('/srv/app', { kind: 'path', containers: ['web'], at: { path: '/mnt/app', device: 1 } }),
  ];
  const saved = (name: string): Snapshot => {
    const taken = snapshotOf(name, hoursAgo(3));
    return { ...taken, volume: taken.volume && { ...taken.volume, kind: 'path', name } };
  };
  const stateWith = (...snapshots: readonly Snapshot[]): string | undefined =>
    cover({ policies: 'p: { bind-mounts: true }', subjects, mounts: [mount({})], snapshots }).find(
      ({ name }) => name === '/srv/app',
    )?.state;
  expect(stateWith(saved('/srv'))).toBe('unprotected');
  expect(stateWith(saved('/srv'), saved('/srv/app'))).toBe('protected');
});

test("another machine's snapshots with the same names and paths protect nothing here", () => {
  const srv = someSubject('/srv', { kind: 'path' });
  const theirs = (name: string, kind: 'volume' | 'path'): Snapshot & { readonly isOwn: boolean } => {
    const taken = someSnapshot({ id: name, time: hoursAgo(3), name, identity: `id-${name}` });
    return { ...taken, isOwn: false, volume: taken.volume && { ...taken.volume, kind, name } };
  };
  const places = cover({
    volumes: [someVolume('pg')],
    subjects: [srv, someSubject('pg')],
    mounts: [mount({})],
    snapshots: [theirs('pg', 'volume'), theirs('/srv', 'path')],
  });
  expect(places.map(({ name, state }) => [name, state])).toEqual([
    ['/srv', 'unprotected'],
    ['/srv/app', 'unprotected'],
    ['pg', 'unprotected'],
  ]);
});

test('a cache is recognized by its name, its place or its user, unless a policy covers it', () => {
  const volumes = [
    someVolume('app_cache'),
    someVolume('modules'),
    someVolume('redis-data'),
    someVolume('redis-queue'),
    someVolume('cashews'),
  ];
  const redis = { ...consumer, image: 'registry/redis:7', id: 'r1' };
  const mounts = [
    mount({ type: 'volume', source: 'modules', destination: '/app/node_modules' }),
    mount({ type: 'volume', source: 'redis-data', consumer: redis }),
    mount({ type: 'volume', source: 'redis-queue', consumer: { ...redis, id: 'r2' } }),
  ];
  const commands = {
    r1: ['redis-server', '--maxmemory-policy', 'allkeys-lru'],
    r2: ['redis-server', '--appendonly', 'yes'],
  };
  const states = (policies: string) =>
    Object.fromEntries(
      cover({ policies, volumes, mounts, commands }).map(({ name, state }) => [name, state]),
    );
  expect(states('')).toEqual({
    app_cache: 'cache',
    modules: 'cache',
    'redis-data': 'cache',
    'redis-queue': 'unprotected',
    cashews: 'unprotected',
  });
  expect(states(`p: { schedule: '@daily' }`)).toMatchObject({
    app_cache: 'unprotected',
    'redis-data': 'unprotected',
  });
});

test('a volume that is left out on purpose is no alarm', () => {
  const subjects = [someSubject('a', { skipped: 'it is not to be backed up, by label or x-holdfast' })];
  expect(cover({ volumes: [someVolume('a')], subjects })).toMatchObject([
    { state: 'cache', reason: 'it is not to be backed up, by label or x-holdfast' },
  ]);
});

test("a directory that policies refuse because it holds the engine's data counts as unprotected", () => {
  const skipped = 'the container engine keeps its own data there';
  const subjects = [someSubject('/srv', { kind: 'path', skipped, mayHoldData: true })];
  expect(cover({ mounts: [mount({ source: '/srv' })], subjects })).toMatchObject([
    { name: '/srv', state: 'unprotected', reason: expect.stringContaining(skipped) },
  ]);
});

test("a file that containers mount is protected by a volume's snapshots that include it", () => {
  const volumes = [someVolume('pg')];
  const mounts = [mount({ source: '/srv/app/pg.conf' }), mount({ source: '/srv/app/data' })];
  const config = { saved: ['/srv/app/pg.conf'], leftOut: [] };
  const snapshots = [snapshotOf('pg', hoursAgo(1), { config })];
  const states = cover({ volumes, mounts, snapshots }).map(({ name, state }) => [name, state]);
  expect(Object.fromEntries(states)).toEqual({
    pg: 'protected',
    '/srv/app/pg.conf': 'protected',
    '/srv/app/data': 'unprotected',
  });
});
