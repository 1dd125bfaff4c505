import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import { orderSnapshots, type OrderEvidence } from './snapshot-order.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';

const nowMs = Date.parse('2026-06-10T12:00:00Z');

interface Some {
  readonly id: string;
  /** Without the zone. */
  readonly at: string;
  readonly after?: string;
}

function all(...some: readonly Some[]): Snapshot[] {
  const snapshots = some.map(({ id, at, after }) => someSnapshot({ id, time: `${at}Z`, parent: after }));
  // In the repository's order.
  return snapshots.toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

function order(snapshots: readonly Snapshot[], evidence: Partial<OrderEvidence> = {}): string {
  const { snapshots: found, doubts } = orderSnapshots(snapshots, { nowMs, ...evidence });
  return found.map(({ id }) => `${id}${doubts.has(id) ? ` (${doubts.get(id)?.kind})` : ''}`).join(' ');
}

const days = (from: number, to: number): Some[] =>
  Array.from({ length: to - from + 1 }, (_, i) => {
    const day = from + i;
    return {
      id: `d${day}`,
      at: `2026-06-${String(day).padStart(2, '0')}T03:00:00`,
      after: day > 1 ? `d${day - 1}` : undefined,
    };
  }).map(({ after, ...one }) => (after === undefined ? one : { ...one, after }));

describe('orderSnapshots()', () => {
  test('goes by time when nothing contradicts it', () => {
    expect(order(all(...days(1, 3)))).toBe('d1 d2 d3');
    expect(order(all({ id: 'b', at: '2026-06-02T00:00:00' }, { id: 'a', at: '2026-06-01T00:00:00' }))).toBe(
      'a b',
    );
  });

  test('those of one moment go by the names of their volumes', () => {
    const named = (id: string, name: string): Snapshot =>
      someSnapshot({ id, name, time: '2026-06-01T00:00:00Z', identity: name });
    expect(order([named('a', 'web'), named('c', 'pg'), named('b', 'redis')])).toBe('c b a');
  });

  test('a time in the future is replaced by the evidence of its parents, and by when the store got it', () => {
    const future = { id: 'f', at: '2028-01-01T00:00:00', after: 'd2' };
    const later = { id: 'd3', at: '2026-06-03T03:00:00', after: 'f' };
    expect(order(all(...days(1, 2), future, later))).toBe('d1 d2 f (future) d3');
    const alone = all(...days(1, 3), { id: 'f', at: '2028-01-01T00:00:00' });
    expect(order(alone)).toBe('d1 d2 d3 f (future)');
    const storedMs = new Map([['f', Date.parse('2026-06-02T12:00:00Z')]]);
    expect(order(alone, { storedMs })).toBe('d1 d2 f (future) d3');
  });

  test('a passed time is still in doubt when a snapshot saved after it has an earlier one', () => {
    const wrong = { id: 'f', at: '2026-06-09T00:00:00', after: 'd2' };
    const after = days(3, 5).map((one) => ({ ...one, after: 'f' }));
    expect(order(all(...days(1, 2), wrong, ...after))).toBe('d1 d2 f (ahead) d3 d4 d5');
    // The first of all, and two of them.
    expect(order(all({ ...wrong, after: 'gone' }, ...after))).toBe('f (ahead) d3 d4 d5');
    const second = { id: 'g', at: '2026-06-09T01:00:00', after: 'f' };
    const since = [{ id: 'd3', at: '2026-06-03T03:00:00', after: 'g' }, ...days(4, 5)];
    expect(order(all(...days(1, 2), wrong, second, ...since))).toBe('d1 d2 f (ahead) g (ahead) d3 d4 d5');
  });

  test('a clock that was behind for a while puts no earlier snapshot in doubt', () => {
    const behind = [
      { id: 'p1', at: '2020-01-01T00:00:00', after: 'd5' },
      { id: 'p2', at: '2020-01-02T00:00:00', after: 'p1' },
    ];
    const next = { id: 'd6', at: '2026-06-06T03:00:00', after: 'p2' };
    expect(order(all(...days(1, 5), ...behind, next))).toBe('d1 d2 d3 d4 d5 p1 (behind) p2 (behind) d6');
  });

  test('this machine’s own record of its backups counts when parents are gone', () => {
    const wrong = { id: 'f', at: '2026-06-09T00:00:00' };
    const snapshots = all(...days(2, 2), wrong, { id: 'd3', at: '2026-06-03T03:00:00' }, ...days(5, 5));
    expect(order(snapshots)).toBe('d2 d3 d5 f');
    expect(order(snapshots, { saved: ['d1', 'd2', 'f', 'd3', 'd4', 'd5'] })).toBe('d2 f (ahead) d3 d5');
  });

  test('a clock that was set back by minutes changes no order', () => {
    const ahead = { id: 'f', at: '2026-06-02T03:06:00', after: 'd1' };
    const next = { id: 'n', at: '2026-06-02T03:01:00', after: 'f' };
    expect(order(all(...days(1, 1), ahead, next))).toBe('d1 f n');
  });

  test('a store whose own clock is wrong is not believed', () => {
    const stored = (time: string, ...ids: string[]): Map<string, number> =>
      new Map(ids.map((id) => [id, Date.parse(time)]));
    const snapshots = all(...days(1, 4));
    expect(order(snapshots, { storedMs: stored('1970-01-01T00:00:00Z', 'd1', 'd2', 'd3', 'd4') })).toBe(
      'd1 d2 d3 d4',
    );
    expect(order(snapshots, { storedMs: stored('2026-07-01T00:00:00Z', 'd1', 'd2', 'd3', 'd4') })).toBe(
      'd1 d2 d3 d4',
    );
    const ahead = new Map([
      ...stored('2026-06-05T00:00:00Z', 'd1', 'd2', 'd3'),
      ['d4', Date.parse('2026-06-01T12:00:00Z')],
    ]);
    expect(order(all(...days(1, 3), { id: 'd4', at: '2026-06-04T03:00:00' }), { storedMs: ahead })).toBe(
      'd1 d4 (ahead) d2 d3',
    );
  });

  test('cyclic parents and a thousand contradictions terminate', () => {
    const round = all(
      { id: 'a', at: '2026-06-01T00:00:00', after: 'b' },
      { id: 'b', at: '2026-06-02T00:00:00', after: 'a' },
      { id: 'c', at: '2026-06-03T00:00:00', after: 'c' },
    );
    expect(orderSnapshots(round, { nowMs }).snapshots).toHaveLength(3);
    const many = Array.from({ length: 3000 }, (_, i) => ({
      id: `m${i}`,
      at: new Date(Date.parse('2026-06-01T00:00:00Z') - i * 3_600_000).toISOString().slice(0, 19),
      after: `m${i - 1}`,
    }));
    expect(orderSnapshots(all(...many), { nowMs }).snapshots).toHaveLength(3000);
  });
});
