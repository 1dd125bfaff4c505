import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import { chooseRestorePoint, type RestorePoint } from './choose-restore-point.ts';
import type { FindContext } from './find-snapshot.ts';
import { someSnapshot } from './some-snapshot.fixture.ts';

interface Some {
  readonly id: string;
  readonly at: string;
  readonly point?: string;
  readonly stack?: string;
  readonly host?: string;
  readonly tags?: readonly string[];
}

function of(name: string, { id, at, point, stack = 'shop', host = 'host', tags = [] }: Some): Snapshot {
  const snapshot = someSnapshot({ id: id.padEnd(64, '0'), time: `2026-01-${at}:00Z`, tags });
  const { volume } = snapshot;
  if (volume === undefined) throw new Error('no volume');
  return {
    ...snapshot,
    name,
    restorePoint: point,
    volume: { ...volume, name, identity: `${name} on ${host}`, stack, host: { ...volume.host, name: host } },
  };
}

function context(...snapshots: Snapshot[]): FindContext {
  const sorted = snapshots.sort((a, b) => (a.time < b.time ? -1 : 1));
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

  test('takes newer snapshots when all volumes have been saved one by one since', () => {
    const since = context(...two.snapshots, of('web', { id: 'c2', at: '26T12:00' }));
    expect(shown(chooseRestorePoint('shop', since))).toEqual({
      id: undefined,
      snapshots: ['db c1', 'web c2'],
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

  test('a snapshot that was taken by itself stands for that moment', () => {
    expect(shown(chooseRestorePoint('shop@c1', two))).toEqual({
      id: undefined,
      snapshots: ['db c1', 'web b2'],
    });
    expect(chooseRestorePoint('shop@c1', two).notes).toEqual([expect.stringContaining('one by one')]);
  });

  test('without restore points, the newest of each volume until then, and says how far apart they are', () => {
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

  test('a volume whose backup failed comes from before; one that left the stack stays as it is', () => {
    const chosen = chooseRestorePoint(
      'shop',
      context(
        of('gone', { id: 'a0', at: '09T12:00' }),
        of('db', { id: 'a1', at: '10T12:00', point: point('a') }),
        of('web', { id: 'a2', at: '10T12:00', point: point('a') }),
        of('db', { id: 'b1', at: '20T12:00', point: point('b') }),
      ),
    );
    expect(shown(chosen)).toEqual({ id: point('b'), snapshots: ['db b1', 'web a2'] });
    expect(chosen.notes).toEqual([
      'Not part of the restore point, and taken from before it: "web".',
      'No part of the stack any more, and left as it is: "gone".',
    ]);
  });

  test('refuses what means several hosts, nothing, or a time before all', () => {
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
