import { expect, test } from 'vitest';
import type { SnapshotJson } from '../format/snapshot-file.ts';
import { planCopy } from './copy-snapshots.ts';

const id = (letter: string): string => letter.repeat(64);

const record: SnapshotJson = {
  time: '2026-01-31T12:00:00.5Z',
  tree: id('e'),
  paths: ['/volume/pg', '/etc'],
  hostname: 'here',
  username: 'root',
  tags: ['a', 'b'],
};

const source = new Map([[id('a'), record]]);

test('snapshots that the target already has from there are not copied again', () => {
  const copy = { ...record, original: id('a'), parent: id('d') };
  expect(planCopy(source, new Map([[id('b'), copy]]))).toMatchObject({
    copy: [],
    present: [{ id: id('a'), newId: id('b') }],
  });
});

test('a copy back to the origin is recognized as the original', () => {
  const copy = new Map([[id('b'), { ...record, original: id('a') }]]);
  expect(planCopy(copy, source)).toMatchObject({ copy: [], present: [{ newId: id('a') }] });
});

test('two copies of one snapshot are known as the same', () => {
  const copies = ['b', 'c'].map((letter) => new Map([[id(letter), { ...record, original: id('a') }]]));
  expect(planCopy(copies[0] ?? new Map(), copies[1] ?? new Map()).copy).toEqual([]);
});

test.each<[string, Partial<SnapshotJson>]>([
  ['time', { time: '2026-01-31T12:00:01.5Z' }],
  ['tree', { tree: id('f') }],
  ['paths', { paths: ['/volume/pg'] }],
  ['host', { hostname: 'there' }],
  ['user', { username: '' }],
  ['tags', { tags: ['a'] }],
  ['excludes', { excludes: ['*.log'] }],
])('another %s makes another snapshot of it', (_, change) => {
  const copy = { ...record, original: id('a'), ...change };
  expect(planCopy(source, new Map([[id('b'), copy]])).copy.map(([copied]) => copied)).toEqual([id('a')]);
});

test('the order of tags and paths, the way a time is written, and an absent list make no difference', () => {
  const copy = {
    ...record,
    original: id('a'),
    time: '2026-01-31T13:00:00.500+01:00',
    tags: ['b', 'a'],
    paths: ['/etc', '/volume/pg'],
    excludes: [],
  };
  expect(planCopy(source, new Map([[id('b'), copy]])).copy).toEqual([]);
});

test('an equal snapshot of another origin is copied', () => {
  expect(planCopy(source, new Map([[id('b'), record]])).copy).toHaveLength(1);
});

test('the oldest is copied first, so that parents are there before their children', () => {
  const later = { ...record, time: '2026-02-01T12:00:00Z', parent: id('a') };
  const { copy } = planCopy(new Map([[id('b'), later], ...source]), new Map());
  expect(copy.map(([copied]) => copied)).toEqual([id('a'), id('b')]);
});
