import { expect, test } from 'vitest';
import { type FindContext, safetyTag } from '../snapshots/find-snapshot.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';
import { planVerify } from './verify.ts';

const day = (number: number): string => new Date(Date.UTC(2026, 0, number)).toISOString();
const pg = [1, 2, 5].map((number) => someSnapshot({ id: `a${number}`, time: day(number) }));
const safety = someSnapshot({ id: 'af', time: day(9), tags: [safetyTag] });
const redis = [3, 4].map((number) => {
  const one = someSnapshot({ id: `b${number}`, time: day(number), identity: 'of-redis', name: 'redis' });
  return { ...one, volume: one.volume && { ...one.volume, name: 'redis' } };
});
const context: FindContext = {
  snapshots: [...pg, ...redis, safety].toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time)),
  identityOf: () => undefined,
  now: new Date(day(10)),
};

function plan(request: { targets?: string[]; all?: boolean; last?: number }): Record<string, string[]> {
  const groups = planVerify({ targets: [], all: false, last: 1, ...request }, context);
  return Object.fromEntries(groups.map(({ name, snapshots }) => [name, snapshots.map(({ id }) => id)]));
}

test('planVerify() takes the newest of each volume, and begins with the newest of all', () => {
  expect(plan({ all: true })).toEqual({ pg: ['a5'], redis: ['b4'] });
  expect(Object.keys(plan({ all: true }))).toEqual(['pg', 'redis']);
  expect(plan({ all: true, last: 2 })).toEqual({ pg: ['a5', 'a2'], redis: ['b4', 'b3'] });
  expect(plan({ targets: ['redis'], last: Number.POSITIVE_INFINITY })).toEqual({ redis: ['b4', 'b3'] });
});

test('planVerify() takes single snapshots by id and time, each once', () => {
  expect(plan({ targets: ['pg@a1', 'redis@2026-01-03T12:00', 'pg', 'pg'] })).toEqual({
    pg: ['a5', 'a1'],
    redis: ['b3'],
  });
});

test('planVerify() leaves out safety snapshots, unless one is named', () => {
  expect(plan({ targets: ['pg'], last: 9 })).toEqual({ pg: ['a5', 'a2', 'a1'] });
  expect(plan({ targets: ['pg@af'] })).toEqual({ pg: ['af'] });
});

test('planVerify() requires targets', () => {
  expect(() => plan({})).toThrow('Nothing says what to verify');
  expect(() => plan({ targets: ['nobody'] })).toThrow('There is no snapshot of "nobody"');
});
