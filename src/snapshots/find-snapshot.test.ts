import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import { type FindContext, findSnapshot, safetyTag } from './find-snapshot.ts';

interface Sample {
  readonly id: string;
  readonly name?: string;
  readonly identity?: string;
  readonly time: string;
  readonly tags?: readonly string[];
}

function snapshot({ id, name = 'pg', identity = 'own-pg', time, tags = [] }: Sample): Snapshot {
  return {
    id: id.padEnd(64, '0'),
    time,
    tags,
    hostname: 'here',
    name,
    paths: [`/volume/${name}`],
    parent: undefined,
    grade: 'cold',
    volume: {
      kind: name.startsWith('/') ? 'path' : 'volume',
      name,
      identity,
      host: { kind: 'docker', identity: `host of ${identity}`, name: `machine of ${identity}` },
      driver: 'local',
      options: {},
      labels: {},
      anonymous: false,
      consumers: [],
    },
    summary: undefined,
    problemCount: 0,
    programVersion: undefined,
  };
}

const samples = [
  snapshot({ id: 'aaaa1', time: '2026-01-29T10:00:00Z' }),
  snapshot({ id: 'aaaa2', time: '2026-01-30T10:00:00Z' }),
  snapshot({ id: 'bbbb1', time: '2026-01-31T09:00:00Z', tags: [safetyTag] }),
  snapshot({ id: 'dddd1', name: '/srv/data', identity: 'path-1', time: '2026-01-31T10:00:00Z' }),
  snapshot({ id: 'eeee1', name: 'abba', identity: 'own-abba', time: '2026-01-31T11:00:00Z' }),
];

function find(text: string, snapshots = samples, known: Record<string, string> = { pg: 'own-pg' }): string {
  const context: FindContext = {
    snapshots,
    identityOf: (name) => known[name],
    now: new Date('2026-02-01T12:00:00Z'),
  };
  return findSnapshot(text, context).id.slice(0, 5);
}

describe('findSnapshot()', () => {
  test('does not return another volume’s snapshot for a volume that is called "latest"', () => {
    const other = snapshot({
      id: 'ffff1',
      name: 'latest',
      identity: 'own-latest',
      time: '2026-01-20T11:00:00Z',
    });
    expect(() => find('latest', [other, ...samples])).toThrow(/there is a volume "latest"/);
    expect(find('latest@latest', [other, ...samples])).toBe('ffff1');
  });

  test('returns the newest backup for a name, and never a safety snapshot', () => {
    expect(find('pg')).toBe('aaaa2');
    expect(find('pg@latest')).toBe('aaaa2');
    expect(find('pg@bbbb1')).toBe('bbbb1');
  });

  test('returns the newest at or before a time', () => {
    expect(find('pg@2026-01-29T23:00:00Z')).toBe('aaaa1');
    expect(() => find('pg@2026-01-28')).toThrow(/from "2026-01-28" or before/);
  });

  test('finds ids by a unique prefix, and lists those that share one', () => {
    expect(find('aaaa1')).toBe('aaaa1');
    expect(() => find('pg@aaaa')).toThrow(
      expect.objectContaining({ code: 'usage', detail: expect.stringContaining('aaaa2') }),
    );
  });

  test('prefers a name to an id with that prefix', () => {
    const named = [...samples, snapshot({ id: 'abba9', time: '2026-01-31T12:00:00Z' })];
    expect(find('abba', named)).toBe('eeee1');
  });

  test('finds the snapshots of a directory by its path', () => {
    expect(find('/srv/data', samples, {})).toBe('dddd1');
    expect(find('/srv/other/../data@latest', samples, {})).toBe('dddd1');
  });

  test('finds a volume by name on a machine that never had it, unless two machines had one', () => {
    expect(find('pg', samples, { pg: 'a new machine' })).toBe('aaaa2');
    const two = [...samples, snapshot({ id: 'ffff1', identity: 'other-pg', time: '2026-01-31T12:00:00Z' })];
    expect(() => find('pg', two, { pg: 'a new machine' })).toThrow(/different volumes/);
    expect(() => find('pg@2026-02-01', two, { pg: 'a new machine' })).toThrow(/different volumes/);
    expect(find('pg@ffff', two, { pg: 'a new machine' })).toBe('ffff1');
    expect(() => find('pg@cccc', two, { pg: 'a new machine' })).toThrow(/no snapshot "cccc" of "pg"/);
    expect(find('pg', two)).toBe('aaaa2');
  });

  test('suggests what may have been meant when there is nothing', () => {
    expect(() => find('pgg')).toThrow(
      expect.objectContaining({ code: 'not-found', hint: expect.stringContaining('"pg"') }),
    );
    expect(() => find('latest', [])).toThrow(/no snapshots yet/);
  });

  test('prefers this machine’s snapshots, by a name and by "latest", and finds older ones that it continues', () => {
    const theirs = snapshot({ id: 'aaaa1', identity: 'theirs', time: '2026-01-20T10:00:00Z' });
    const own = snapshot({ id: 'bbbb1', identity: 'ours', time: '2026-01-25T10:00:00Z' });
    const later = snapshot({ id: 'cccc1', identity: 'theirs', time: '2026-01-30T10:00:00Z' });
    const continues = { identity: 'theirs', hostName: 'machine of theirs' };
    const continuing: Snapshot = { ...own, volume: own.volume && { ...own.volume, continues } };
    const found = (text: string, snapshots: readonly Snapshot[]): string =>
      findSnapshot(text, {
        snapshots,
        identityOf: () => undefined,
        isOwn: ({ volume }) => volume?.identity === 'ours',
        now: new Date('2026-02-01T12:00:00Z'),
      }).id.slice(0, 5);
    expect(found('pg', [theirs, own, later])).toBe('bbbb1');
    expect(found('latest', [theirs, own, later])).toBe('bbbb1');
    expect(found('latest', [theirs, later])).toBe('cccc1');
    expect(found('pg', [theirs, later])).toBe('cccc1');
    expect(found('pg@2026-01-22', [theirs, continuing, later])).toBe('aaaa1');
    expect(() => found('pg@2026-01-22', [theirs, own, later])).toThrow(/or before/);
  });

  test('keeps to this machine’s snapshots of a lineage that another machine continues too', () => {
    const own = snapshot({ id: 'aaaa1', identity: 'shared', time: '2026-01-20T10:00:00Z' });
    const host = { kind: 'docker', identity: 'elsewhere', name: 'elsewhere' } as const;
    const other: Snapshot = {
      ...snapshot({ id: 'bbbb1', identity: 'shared', time: '2026-01-25T10:00:00Z' }),
      volume: own.volume && { ...own.volume, host },
    };
    const context: FindContext = {
      snapshots: [own, other],
      identityOf: () => 'shared',
      isOwn: ({ volume }) => volume?.host.identity !== 'elsewhere',
      now: new Date('2026-02-01T12:00:00Z'),
    };
    expect(findSnapshot('pg', context)).toBe(own);
    expect(findSnapshot('pg@bbbb', context)).toBe(other);
  });
});

test('a directory whose name ends like a version is itself, and another’s version only when no snapshot has that name', () => {
  const all = [
    { id: 'aaaa1', name: '/srv/app', identity: 'app', time: '2024-05-01T00:00:00Z' },
    { id: 'bbbb1', name: '/srv/app@2024-12-31', identity: 'at', time: '2025-05-01T00:00:00Z' },
    { id: 'bbbb2', name: '/srv/app@latest', identity: 'latest', time: '2025-06-01T00:00:00Z' },
    { id: 'bbbb3', name: '/srv/app@abcd', identity: 'id', time: '2025-07-01T00:00:00Z' },
  ].map(snapshot);
  const context: FindContext = { snapshots: all, identityOf: () => undefined, now: new Date('2026-01-01') };
  const found = (text: string): string => findSnapshot(text, context).id.slice(0, 5);
  expect(found('/srv/app@2024-12-31')).toBe('bbbb1');
  expect(found('/srv/app@2024-12-31@latest')).toBe('bbbb1');
  expect(found('/srv/app@latest')).toBe('bbbb2');
  expect(found('/srv/app@abcd')).toBe('bbbb3');
  expect(found('/srv/app@2024-12-30')).toBe('aaaa1');
  expect(found('/srv/app@aaaa')).toBe('aaaa1');
});
