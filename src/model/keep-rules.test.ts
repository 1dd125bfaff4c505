import { describe, expect, test } from 'vitest';
import { parseSpan } from './calendar-span.ts';
import type { Snapshot } from './snapshot.ts';
import { applyKeepRules, hasNoRules, hasTags, type KeepRules } from './keep-rules.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';

const now = Date.UTC(2026, 5, 1);

/** Which of the snapshots stay and why, by their times, newest first. */
function kept(times: readonly string[], rules: KeepRules): string[] {
  const snapshots = times.map((time) => someSnapshot({ id: time, time }));
  return applyKeepRules(snapshots, rules, now)
    .filter(({ reasons }) => reasons.length > 0)
    .map(({ snapshot, reasons }) => `${snapshot.time} ${reasons.join(', ')}`);
}

describe('applyKeepRules()', () => {
  test('keeps the newest so many, in any input order', () => {
    const times = ['2026-01-02T10:00:00Z', '2026-01-03T10:00:00Z', '2026-01-01T10:00:00Z'];
    expect(kept(times, { last: 2 })).toEqual([
      '2026-01-03T10:00:00Z last snapshot',
      '2026-01-02T10:00:00Z last snapshot',
    ]);
  });

  test('keeps the newest of each day, and the oldest of all while days are left', () => {
    const times = [
      '2026-01-01T08:00:00Z',
      '2026-01-02T08:00:00Z',
      '2026-01-02T20:00:00Z',
      '2026-01-01T07:00:00Z',
    ];
    expect(kept(times, { count: { daily: 2 } })).toEqual([
      '2026-01-02T20:00:00Z daily snapshot',
      '2026-01-01T08:00:00Z daily snapshot',
    ]);
    expect(kept(times, { count: { daily: 3 } }).at(-1)).toBe('2026-01-01T07:00:00Z oldest daily snapshot');
  });

  test('a day is one of the clock that made the snapshot', () => {
    const times = ['2026-01-02T00:30:00+02:00', '2026-01-01T23:30:00Z'];
    expect(kept(times, { count: { daily: 9 } })).toHaveLength(2);
    const sameDay = ['2026-01-02T00:30:00+02:00', '2026-01-01T20:00:00Z', '2026-01-01T10:00:00Z'];
    expect(kept(sameDay, { count: { daily: 1 } })).toEqual(['2026-01-02T00:30:00+02:00 daily snapshot']);
  });

  test('weeks are those of ISO 8601, also across the turn of a year', () => {
    const times = [
      '2025-12-28T12:00:00Z',
      '2025-12-29T12:00:00Z',
      '2026-01-04T12:00:00Z',
      '2026-01-05T12:00:00Z',
    ];
    expect(kept(times, { count: { weekly: 3 } })).toEqual([
      '2026-01-05T12:00:00Z weekly snapshot',
      '2026-01-04T12:00:00Z weekly snapshot',
      '2025-12-28T12:00:00Z weekly snapshot',
    ]);
  });

  test('a span is measured back from the newest snapshot, and not from now', () => {
    const times = [
      '2020-03-31T10:00:00Z',
      '2020-03-01T10:00:00Z',
      '2020-03-02T10:00:01Z',
      '2020-02-01T10:00:00Z',
    ];
    expect(kept(times, { within: parseSpan('1m') })).toEqual([
      '2020-03-31T10:00:00Z within 1m',
      '2020-03-02T10:00:01Z within 1m',
    ]);
  });

  test('a snapshot from the future does not move the span', () => {
    const times = ['2030-01-01T00:00:00Z', '2026-05-30T00:00:00Z', '2026-05-20T00:00:00Z'];
    expect(kept(times, { within: parseSpan('2d') })).toEqual([
      '2030-01-01T00:00:00Z within 2d',
      '2026-05-30T00:00:00Z within 2d',
    ]);
    expect(kept(['2030-01-01T00:00:00Z', '2029-01-01T00:00:00Z'], { within: parseSpan('1h') })).toHaveLength(
      2,
    );
  });

  test('spans of impossible length keep everything', () => {
    expect(
      kept(['2026-01-01T00:00:00Z', '0001-01-01T00:00:00Z'], { within: parseSpan('999999y') }),
    ).toHaveLength(2);
  });

  test('keeps the newest of each period within a span', () => {
    const times = [
      '2026-01-10T10:00:00Z',
      '2026-01-10T09:00:00Z',
      '2026-01-09T09:00:00Z',
      '2026-01-01T09:00:00Z',
    ];
    expect(kept(times, { periodWithin: { daily: parseSpan('3d') } })).toEqual([
      '2026-01-10T10:00:00Z daily within 3d',
      '2026-01-09T09:00:00Z daily within 3d',
    ]);
  });

  test('a snapshot may stay for several reasons, and tags are not counted', () => {
    const snapshots = [
      someSnapshot({ id: 'a', time: '2026-01-02T00:00:00Z', tags: ['x', 'y'] }),
      someSnapshot({ id: 'b', time: '2026-01-01T00:00:00Z' }),
    ];
    const judged = applyKeepRules(snapshots, { last: 1, tags: [['x'], ['x', 'z'], ['y', 'x']] }, now);
    expect(judged.map(({ reasons }) => reasons)).toEqual([
      ['has tags [x]', 'has tags [y, x]', 'last snapshot'],
      [],
    ]);
  });
});

test('hasTags() wants all of them; an empty tag stands for none', () => {
  const tagged = (...tags: string[]): Snapshot =>
    someSnapshot({ id: 'a', time: '2026-01-01T00:00:00Z', tags });
  expect(hasTags(tagged('a', 'b'), ['a', 'b'])).toBe(true);
  expect(hasTags(tagged('a'), ['a', 'b'])).toBe(false);
  expect(hasTags(tagged(), [''])).toBe(true);
  expect(hasTags(tagged('a'), [''])).toBe(false);
});

test('rules that keep nothing are no rules', () => {
  expect(hasNoRules({})).toBe(true);
  expect(hasNoRules({ last: 0, count: { daily: 0 }, within: parseSpan('0h'), tags: [] })).toBe(true);
  expect(hasNoRules({ tags: [['']] })).toBe(false);
  expect(hasNoRules({ periodWithin: { hourly: parseSpan('1h') } })).toBe(false);
});
