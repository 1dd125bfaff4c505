import { expect, test } from 'vitest';
import type { DrillRecord, UsageHost, UsageMemory, UsagePlace } from '../../catalog/catalog.ts';
import { currentSizes, reportSizes } from './df-report.ts';
import { lastSizes } from './last-sizes.ts';

const nowMs = Date.parse('2026-05-01T12:00:00Z');
const minute = 60_000;
const docker = 'unix:///var/run/docker.sock';
const asked = { addresses: [docker] };

function place(name: string, more: Partial<UsagePlace> = {}): UsagePlace {
  return {
    ...{ kind: 'volume', name, lineage: `l-${name}`, driver: 'local', stack: undefined, anonymous: false },
    ...{ disk: '/', bytes: 100, files: 2, capacityBytes: undefined, freeBytes: undefined },
    ...{
      measuredAtMs: nowMs - 600 * minute,
      way: 'watched',
      problem: undefined,
      growthBytesPerDay: undefined,
    },
    ...more,
  };
}

const disk = place('/', {
  ...{ kind: 'disk', lineage: undefined, driver: undefined, disk: undefined, files: undefined, way: 'told' },
  ...{ bytes: 600, capacityBytes: 1000, freeBytes: 400, growthBytesPerDay: 40 },
});

function memory({
  hosts = [{ identity: 'h', kind: 'docker', endpoint: docker, lookedAtMs: nowMs - minute }],
  places = [place('a'), disk],
  drills = [],
}: {
  readonly hosts?: readonly UsageHost[];
  readonly places?: readonly UsagePlace[];
  readonly drills?: readonly DrillRecord[];
} = {}): UsageMemory {
  return {
    listHosts: () => hosts,
    listPlaces: (identity: string) => (identity === 'h' ? places : []),
    newestSnapshots: () => new Map([['l-a', { id: 's', time: '2026-04-30T00:00:00Z' }]]),
    listDrills: () => drills,
  } as unknown as UsageMemory;
}

test('a size that a daemon watches is as old as its last look', () => {
  const [volume] = lastSizes(memory(), asked, nowMs)?.volumes ?? [];
  expect(volume).toMatchObject({ isCurrent: true, measuredAt: '2026-05-01T11:59:00.000Z', share: 0.1 });
  expect(volume?.newestSnapshot).toEqual({ id: 's', time: '2026-04-30T00:00:00Z' });
  expect(volume?.fullAt).toBe('2026-05-11T12:00:00.000Z');
});

test.each([
  ['six minutes ago', nowMs - 6 * minute],
  ['in the future, by a clock that has gone back', nowMs + 6 * minute],
])('no size is current when the last look was %s', (_, lookedAtMs) => {
  const hosts = [{ identity: 'h', kind: 'docker', endpoint: docker, lookedAtMs }] as const;
  const known = lastSizes(memory({ hosts }), asked, nowMs);
  expect(known).toMatchObject({ isCurrent: false, volumes: [{ isCurrent: false }] });
  expect(known?.volumes[0]?.measuredAt).toBe('2026-05-01T02:00:00.000Z');
  expect(currentSizes(known, [])).toBeUndefined();
});

test.each([
  ['that was walked', { way: 'walked' as const }],
  ['whose disk does not answer', { problem: 'its disk does not answer' }],
])('a volume %s is not current beside others that are', (_, more) => {
  const known = lastSizes(memory({ places: [place('a', more), place('b')] }), asked, nowMs);
  expect(known?.volumes.map(({ isCurrent }) => isCurrent)).toEqual([false, true]);
});

test('the sizes are of a host at an address that was asked for, the last one that was looked at, or of none', () => {
  const hosts: UsageHost[] = [
    { identity: 'own', kind: 'embedded', endpoint: '', lookedAtMs: nowMs },
    { identity: 'h', kind: 'docker', endpoint: docker, lookedAtMs: nowMs - minute },
    { identity: 'older', kind: 'docker', endpoint: undefined, lookedAtMs: nowMs - minute },
  ];
  const identityAt = (...addresses: string[]) =>
    lastSizes(memory({ hosts }), { addresses }, nowMs)?.host.identity;
  expect(identityAt(docker, '')).toBe('own');
  expect(identityAt(docker, 'unix:///run/podman/podman.sock')).toBe('h');
  expect(identityAt('ssh://other')).toBeUndefined();
  expect(lastSizes(memory({ hosts }), { identity: 'older' }, nowMs)?.host.identity).toBe('older');
  expect(lastSizes(memory({ hosts }), { identity: 'none' }, nowMs)).toBeUndefined();
});

test('only a drill in which the data came back whole counts', () => {
  const drill = (volumeIdentity: string, outcome: DrillRecord['outcome']): DrillRecord => ({
    ...{ volumeIdentity, outcome, snapshotId: 's', snapshotTime: '', drilledAt: '', recoverMs: undefined },
  });
  const drills = [drill('l-a', 'proven'), drill('l-b', 'failed')];
  const known = lastSizes(memory({ places: [place('a'), place('b')], drills }), asked, nowMs);
  expect(known?.volumes.map(({ newestDrill }) => newestDrill?.outcome)).toEqual(['proven', undefined]);
  expect(known?.volumes[0]?.newestDrill).not.toHaveProperty('volumeIdentity');
});

test('the catalog alone answers for names that it has, the largest first, with their disks only', () => {
  const places = [
    place('a'),
    place('big', { bytes: 900 }),
    place('far', { disk: '/srv', bytes: undefined }),
    disk,
  ];
  const known = lastSizes(memory({ places }), asked, nowMs);
  expect(currentSizes(known, [])?.volumes.map(({ name }) => name)).toEqual(['big', 'a', 'far']);
  expect(currentSizes(known, [])?.total).toEqual({ volumes: 3, bytes: 1000, files: 6, unknown: 1 });
  expect(currentSizes(known, ['far'])).toMatchObject({ volumes: [{ name: 'far' }], disks: [] });
  expect(currentSizes(known, ['a', 'none'])).toBeUndefined();
  expect(() => reportSizes(known, undefined, ['none'])).toThrow('There is no volume "none"');
  expect(() => reportSizes(known, undefined, ['bog'])).toThrow(
    expect.objectContaining({ hint: 'Did you mean "big"?' }),
  );
});
