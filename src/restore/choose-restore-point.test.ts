import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import { chooseRestorePoint, type RestorePoint } from './choose-restore-point.ts';
import type { FindContext } from '../snapshots/find-snapshot.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';

interface Some {
  readonly id: string;
  readonly at: string;
  readonly point?: string;
  readonly stack?: string;
  readonly host?: string;
  readonly tags?: readonly string[];
  /** What the stack had then; not recorded unless given. */
  readonly all?: readonly string[];
  readonly missing?: readonly string[];
}

function of(
  name: string,
  { id, at, point, stack = 'shop', host = 'host', tags = [], all, missing }: Some,
): Snapshot {
  const snapshot = someSnapshot({ id: id.padEnd(64, '0'), time: `2026-01-${at}:00Z`, tags });
  const { volume } = snapshot;
  if (volume === undefined) throw new Error('no volume');
  return {
    ...snapshot,
    name,
    restorePoint: point,
    ...(missing && { missing }),
    volume: {
      ...volume,
      name,
      identity: `${name} on ${host}`,
      stack,
      stackVolumes: all,
      host: { ...volume.host, name: host, identity: `id of ${host}` },
    },
  };
}

function context(...snapshots: readonly Snapshot[]): FindContext {
  const sorted = snapshots.toSorted((a, b) => (a.time < b.time ? -1 : 1));
  return { snapshots: sorted, identityOf: () => undefined, now: new Date('2026-02-01T00:00:00Z') };
}

function shown({ id, snapshots }: RestorePoint): object {
  return { id, snapshots: snapshots.map((one) => `${one.name} ${one.id.slice(0, 2)}`) };
}

const point = (digit: string): string => digit.repeat(16);

const two = context(
  of('db', { id: 'a1', at: '10T12:00', point: point('a') }),
  of('web', { id: 'a2', at: '10T12:00', point: point('a') }),
  of('db', { id: 'b1', at: '20T12:00', point: point('b') }),
  of('web', { id: 'b2', at: '20T12:01', point: point('b') }),
  of('db', { id: 'c1', at: '25T12:00' }),
  of('other', { id: 'd1', at: '25T12:00', stack: 'blog' }),
);

describe('chooseRestorePoint()', () => {
  test('takes the newest restore point, and not newer snapshots of single volumes', () => {
    expect(shown(chooseRestorePoint('shop', two))).toEqual({
      id: point('b'),
      snapshots: ['db b1', 'web b2'],
    });
    expect(chooseRestorePoint('shop', two).notes).toEqual([expect.stringMatching(/newer .*: "db"/)]);
  });

  test('keeps the moment that has all of it when all volumes have been saved one by one since', () => {
    const since = context(...two.snapshots, of('web', { id: 'c2', at: '26T12:00' }));
    expect(shown(chooseRestorePoint('shop', since))).toEqual({
      id: point('b'),
      snapshots: ['db b1', 'web b2'],
    });
    expect(chooseRestorePoint('shop', since).notes).toEqual([
      'There are newer snapshots of single volumes, which belong to no moment of the whole stack: "db", "web".',
    ]);
    expect(shown(chooseRestorePoint('shop@c2', since))).toEqual({
      id: undefined,
      snapshots: ['db c1', 'web c2'],
    });
  });

  test('a backup of one volume that has a restore point of its own does not count as the stack', () => {
    const mixed = context(
      ...['a', 'b', 'c'].map((name) => of(name, { id: `1${name}`, at: '10T12:00', point: point('1') })),
      of('a', { id: '2a', at: '11T12:00', point: point('2') }),
    );
    expect(shown(chooseRestorePoint('shop', mixed))).toEqual({
      id: point('1'),
      snapshots: ['a 1a', 'b 1b', 'c 1c'],
    });
  });

  test.each([
    ['shop@2026-01-15', point('a')],
    ['shop@2026-01-20T12:00:30Z', point('a')],
    ['shop@2026-01-20T12:01Z', point('b')],
    ['shop@a1', point('a')],
    ['shop@bbbb', point('b')],
    ['shop@latest', point('b')],
  ])('"%s" is the newest that was whole then, or the one of that snapshot', (text, id) => {
    expect(chooseRestorePoint(text, two).id).toBe(id);
  });

  test('a snapshot that was taken on its own stands for that moment', () => {
    expect(shown(chooseRestorePoint('shop@c1', two))).toEqual({
      id: undefined,
      snapshots: ['db c1', 'web b2'],
    });
    expect(chooseRestorePoint('shop@c1', two).notes).toEqual([expect.stringContaining('one by one')]);
  });

  test('without restore points, takes the newest of each volume until then, and says how far apart they are', () => {
    const single = context(
      of('db', { id: 'a1', at: '10T12:00' }),
      of('web', { id: 'a2', at: '12T12:00' }),
      of('db', { id: 'a3', at: '13T12:00', tags: ['before-restore'] }),
      of('db', { id: 'a4', at: '14T12:00' }),
    );
    const chosen = chooseRestorePoint('shop@2026-01-13', single);
    expect(shown(chosen)).toEqual({ id: undefined, snapshots: ['db a1', 'web a2'] });
    expect(chosen.notes.join()).toContain('2d apart');
  });

  test('a moment that lacks a volume is restored only when it is named', () => {
    const failed = context(
      of('db', { id: 'a1', at: '10T12:00', point: point('a') }),
      of('web', { id: 'a2', at: '10T12:00', point: point('a') }),
      of('log', { id: 'a3', at: '10T12:00', point: point('a') }),
      of('db', { id: 'b1', at: '20T12:00', point: point('b') }),
      of('log', { id: 'b3', at: '20T12:00', point: point('b') }),
    );
    const chosen = chooseRestorePoint('shop', failed);
    expect(shown(chosen)).toEqual({ id: point('a'), snapshots: ['db a1', 'log a3', 'web a2'] });
    expect(chosen.notes).toEqual([
      `There is a newer restore point without "web": ${point('b')}. To take that one: --stack shop@${point('b')}`,
    ]);
    const named = chooseRestorePoint('shop@bbbb', failed);
    expect(shown(named)).toEqual({ id: point('b'), snapshots: ['db b1', 'log b3', 'web a2'] });
    expect(named.notes).toEqual(['Not part of the restore point, and taken from before it: "web".']);
  });

  test('an incomplete moment is reported, ranks behind the last whole one, and can be named', () => {
    const all = ['db', 'web'];
    const lost = context(
      ...['db', 'web'].map((name) => of(name, { id: `1${name}`, at: '10T12:00', point: point('1'), all })),
      of('web', { id: '2a', at: '11T12:00', point: point('2'), all, missing: ['db'] }),
    );
    const newest = chooseRestorePoint('shop', lost);
    expect(newest).toMatchObject({ id: point('1'), missing: [] });
    expect(newest.notes).toEqual([
      `There is a newer restore point without "db", which could not be saved then: ${point('2')}. To take that one: --stack shop@${point('2')}`,
    ]);
    const chosen = chooseRestorePoint(`shop@${point('2')}`, lost);
    expect(shown(chosen)).toEqual({ id: point('2'), snapshots: ['db 1d', 'web 2a'] });
    expect(chosen.missing).toEqual(['db']);
    expect(chosen.notes).toEqual([
      'Could not be saved at that moment: "db".',
      'Not part of the restore point, and taken from before it: "db".',
    ]);
    const twice = context(
      ...lost.snapshots,
      of('web', { id: '3a', at: '12T12:00', point: point('3'), all, missing: ['db'] }),
    );
    expect(() => chooseRestorePoint('shop', twice)).toThrow('the moments since then lack "db"');
  });

  test('a whole moment followed by two newer ones without the same volume is old: one has to be named', () => {
    const all = ['cache', 'db', 'web'];
    const save = (day: string, names: readonly string[]): Snapshot[] =>
      names.map((name) =>
        of(name, { id: `${day}${name}`, at: `${day}T12:00`, point: point(day.slice(-1)), all }),
      );
    const first = save('01', all);
    const once = context(...first, ...save('02', ['db', 'web']));
    expect(chooseRestorePoint('shop', once).id).toBe(point('1'));
    const twice = context(...once.snapshots, ...save('03', ['db', 'web']));
    expect(() => chooseRestorePoint('shop', twice)).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: expect.stringMatching(/is of 2026-01-01T12:00:00Z: the moments since then lack "cache"/),
        hint: expect.stringContaining('--stack shop@ID'),
      }) as Error,
    );
    expect(chooseRestorePoint(`shop@${point('3')}`, twice).id).toBe(point('3'));
    // Two moments that lack different volumes say nothing about either.
    const other = context(...once.snapshots, ...save('03', ['cache', 'db']));
    expect(chooseRestorePoint('shop', other).id).toBe(point('1'));
  });

  test('volumes of different schedules share no moment: the error lists the moments and how to choose', () => {
    const all = ['db', 'files'];
    const apart = context(
      of('files', { id: 'a1', at: '10T00:00', all }),
      of('db', { id: 'b1', at: '10T12:00', all }),
      of('db', { id: 'b2', at: '10T13:00', all }),
    );
    expect(() => chooseRestorePoint('shop', apart)).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: 'No moment has all of the stack "shop": "db", "files"',
        detail: expect.stringMatching(/^b2000000 .*"db"\nb1000000 .*"db"\na1000000 .*"files"$/) as string,
        hint: expect.stringContaining('--stack shop@2026-01-10T13:00:00Z') as string,
      }) as Error,
    );
    const chosen = chooseRestorePoint('shop@2026-01-10T13:00:00Z', apart);
    expect(shown(chosen)).toEqual({ id: undefined, snapshots: ['db b2', 'files a1'] });
    expect(chosen.notes).toEqual([expect.stringContaining('one by one')]);
  });

  test('a volume that was saved earlier by its own schedule is still part of the stack', () => {
    const all = ['archive', 'db', 'web'];
    const own = context(
      of('archive', { id: 'a0', at: '01T12:00', all }),
      ...['10', '20', '25'].flatMap((day, i) => [
        of('db', { id: `${i}1`, at: `${day}T12:00`, point: point(String(i)), all }),
        of('web', { id: `${i}2`, at: `${day}T12:00`, point: point(String(i)), all }),
      ]),
    );
    expect(() => chooseRestorePoint('shop', own)).toThrow(/No moment has all of .*"archive", "db", "web"/);
    expect(shown(chooseRestorePoint('shop@2222', own))).toEqual({
      id: point('2'),
      snapshots: ['archive a0', 'db 21', 'web 22'],
    });
  });

  test('the newest snapshot says what the stack had: a volume that left, or was never saved, stays as it is', () => {
    const left = context(
      of('gone', { id: 'a0', at: '10T12:00', point: point('a'), all: ['db', 'gone', 'web'] }),
      of('db', { id: 'a1', at: '10T12:00', point: point('a'), all: ['db', 'gone', 'web'] }),
      of('web', { id: 'a2', at: '10T12:00', point: point('a'), all: ['db', 'gone', 'web'] }),
      of('db', { id: 'b1', at: '20T12:00', point: point('b'), all: ['db', 'new', 'web'] }),
      of('web', { id: 'b2', at: '20T12:00', point: point('b'), all: ['db', 'new', 'web'] }),
    );
    const chosen = chooseRestorePoint('shop', left);
    expect(shown(chosen)).toEqual({ id: point('b'), snapshots: ['db b1', 'web b2'] });
    expect(chosen.notes).toEqual([
      'No part of the stack any more, and left as it is: "gone".',
      'Never saved, and left as it is: "new".',
    ]);
    expect(chooseRestorePoint('shop@2026-01-15', left).snapshots).toHaveLength(3);
  });

  test('where no snapshot records the volumes, one that the last two moments lack has left', () => {
    const moment = (digit: string, day: string, ...names: string[]): Snapshot[] =>
      names.map((name, i) => of(name, { id: `${digit}${i}`, at: `${day}T12:00`, point: point(digit) }));
    const once = [...moment('a', '10', 'db', 'gone', 'web'), ...moment('b', '20', 'db', 'web')];
    expect(chooseRestorePoint('shop', context(...once)).id).toBe(point('a'));
    const twice = chooseRestorePoint('shop', context(...once, ...moment('c', '25', 'db', 'web')));
    expect(twice.id).toBe(point('c'));
    expect(twice.notes).toEqual(['No part of the stack any more, and left as it is: "gone".']);
  });

  test('a moment from the future is restored only when it is named', () => {
    const future = ['db', 'web'].map((name, i) =>
      of(name, { id: `f${i}`, at: '30T12:00', point: point('f') }),
    );
    const knownMs = Date.parse('2026-01-15T00:00:00Z');
    const doubts = new Map(
      future.map(({ id }) => [
        id,
        { kind: 'future', knownMs, reason: 'its time lies in the future' } as const,
      ]),
    );
    const wrong = {
      ...two,
      snapshots: [...two.snapshots.slice(0, 2), ...future, ...two.snapshots.slice(2)],
      doubts,
    };
    expect(chooseRestorePoint('shop', wrong).id).toBe(point('b'));
    expect(chooseRestorePoint('shop@2026-01-16', wrong).id).toBe(point('a'));
    expect(shown(chooseRestorePoint('shop@ffff', wrong))).toEqual({
      id: point('f'),
      snapshots: ['db f0', 'web f1'],
    });
    expect(shown(chooseRestorePoint('shop', { ...wrong, snapshots: future }))).toMatchObject({
      id: point('f'),
    });
  });

  test('covers volumes only: a directory that the stack mounts is no part of a moment', () => {
    const folder = of('/srv/shop', { id: 'e1', at: '28T12:00' });
    const path = { ...folder, volume: folder.volume && { ...folder.volume, kind: 'path' as const } };
    expect(shown(chooseRestorePoint('shop', context(...two.snapshots, path)))).toEqual({
      id: point('b'),
      snapshots: ['db b1', 'web b2'],
    });
  });

  test('the id of a snapshot or moment selects the machine where several have the stack', () => {
    const machine = (host: string, digit: string, day: string): Snapshot[] =>
      ['db', 'web'].map((name, i) =>
        of(name, { id: `${digit}${i}`, at: `${day}T12:00`, point: point(digit), host }),
      );
    const several = context(...machine('first', 'a', '10'), ...machine('second', 'b', '20'));
    const bare = { ...several, isOwn: () => false };
    expect(() => chooseRestorePoint('shop', bare)).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: '"db" means different volumes in this repository',
        hint: expect.stringContaining('--stack shop@ID') as string,
      }) as Error,
    );
    const first = { id: point('a'), snapshots: ['db a0', 'web a1'] };
    expect(shown(chooseRestorePoint('shop@a1', bare))).toEqual(first);
    expect(shown(chooseRestorePoint('shop@aaaa', bare))).toEqual(first);
    const onSecond: FindContext = { ...several, isOwn: ({ volume }) => volume?.host.name === 'second' };
    expect(chooseRestorePoint('shop', onSecond).id).toBe(point('b'));
    expect(shown(chooseRestorePoint('shop@a1', onSecond))).toEqual(first);
  });

  test('a stack of the same name on another machine adds no volume to it', () => {
    const all = ['db', 'web'];
    const both = context(
      of('db', { id: 'a0', at: '10T12:00', point: point('a'), all }),
      of('web', { id: 'a1', at: '10T12:00', point: point('a'), all }),
      of('cache', { id: 'b2', at: '20T12:00', point: point('b'), host: 'other', all: [...all, 'cache'] }),
    );
    const chosen = chooseRestorePoint('shop', {
      ...both,
      isOwn: ({ volume }) => volume?.host.name === 'host',
    });
    expect(shown(chosen)).toEqual({ id: point('a'), snapshots: ['db a0', 'web a1'] });
    expect(chosen.notes).toEqual([]);
  });

  test('refuses an ambiguous host, an empty result, and a time before the first snapshot', () => {
    const hosts = context(
      of('db', { id: 'a1', at: '10T12:00' }),
      of('db', { id: 'a2', at: '10T12:00', host: 'elsewhere' }),
    );
    expect(() => chooseRestorePoint('shop', hosts)).toThrow(/means different volumes/);
    expect(() => chooseRestorePoint('shp', two)).toThrow(
      expect.objectContaining({ code: 'not-found', hint: 'Did you mean "shop"?' }) as Error,
    );
    expect(() => chooseRestorePoint('shop@2026-01-01', two)).toThrow(/from "2026-01-01" or before/);
    expect(() => chooseRestorePoint('shop@dddd', two)).toThrow(/no snapshot or restore point "dddd"/);
    expect(() => chooseRestorePoint('./shop', two)).toThrow(
      expect.objectContaining({ code: 'usage' }) as Error,
    );
  });
});
