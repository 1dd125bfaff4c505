import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { longestGapMs, openTimetable, timesBetween } from './schedule.ts';

function times(patterns: readonly string[], zone: string, from: string, count: number): string[] {
  const timetable = openTimetable({ patterns, timeZone: zone });
  return timesBetween(timetable, { afterMs: Date.parse(from), untilMs: Infinity, atMost: count }).map(
    (time) => new Date(time).toISOString().slice(5, 16),
  );
}

describe('daylight saving', () => {
  test('a time that the clock skips in spring is taken at the end of the gap, once', () => {
    expect(times(['30 2 * * *'], 'Europe/Berlin', '2026-03-28T12:00Z', 3)).toEqual([
      '03-29T01:00',
      '03-30T00:30',
      '03-31T00:30',
    ]);
  });

  test('a time that comes twice in autumn is taken once', () => {
    expect(times(['30 2 * * *'], 'Europe/Berlin', '2026-10-24T12:00Z', 2)).toEqual([
      '10-25T00:30',
      '10-26T01:30',
    ]);
    expect(times(['0 2,14 * * *'], 'Europe/Berlin', '2026-10-24T13:00Z', 3)).toEqual([
      '10-25T00:00',
      '10-25T13:00',
      '10-26T01:00',
    ]);
  });

  test('hourly stays hourly on both days', () => {
    for (const day of ['2026-03-29', '2026-10-25'])
      expect(
        timesBetween(openTimetable({ patterns: ['0 * * * *'], timeZone: 'Europe/Berlin' }), {
          afterMs: Date.parse(`${day}T00:30Z`),
          untilMs: Date.parse(`${day}T04:30Z`),
          atMost: 99,
        }),
      ).toHaveLength(4);
  });

  test('a zone that changes by half an hour, and one that skips midnight', () => {
    expect(times(['0 2 * * *'], 'Australia/Lord_Howe', '2026-10-03T00:00Z', 2)).toEqual([
      '10-03T15:30',
      '10-04T15:00',
    ]);
    expect(times(['@daily'], 'Africa/Cairo', '2026-04-23T00:00Z', 2)).toEqual(['04-23T22:00', '04-24T21:00']);
  });
});

test('the last time is the next of any moment before it, in any zone, on any day', () => {
  const patterns = ['30 2 * * *', '0 * * * *', '15 0 * * 1', '*/20 2-4 * * *', '0 3 31 * *'];
  const zones = ['Europe/Berlin', 'America/New_York', 'UTC', 'Australia/Lord_Howe', 'Africa/Cairo'];
  fc.assert(
    fc.property(
      fc.constantFrom(...patterns),
      fc.constantFrom(...zones),
      fc.integer({ min: Date.parse('2026-01-01'), max: Date.parse('2027-12-31') }),
      (pattern, timeZone, now) => {
        const timetable = openTimetable({ patterns: [pattern], timeZone });
        const last = timetable.last(now) ?? Number.NaN;
        expect(last).toBeLessThanOrEqual(now);
        expect(timetable.next(last - 1000)).toBe(last);
        expect(timetable.next(last)).toBeGreaterThan(now);
        expect(timetable.last(last)).toBe(last);
        expect(timetable.last(last - 1)).toBeLessThan(last);
      },
    ),
    { numRuns: 300 },
  );
});

test('several patterns count together, and seconds may come first', () => {
  expect(times(['0 3 * * *', '0 15 * * *'], 'UTC', '2026-01-01T00:00Z', 3)).toEqual([
    '01-01T03:00',
    '01-01T15:00',
    '01-02T03:00',
  ]);
  const everyTwo = openTimetable({ patterns: ['*/2 * * * * *'], timeZone: undefined });
  expect(everyTwo.next(10_500)).toBe(12_000);
  expect(everyTwo.last(12_000)).toBe(12_000);
  expect(longestGapMs(openTimetable({ patterns: ['0 0 1 * *'], timeZone: 'UTC' }), 0)).toBe(31 * 86_400_000);
});

test('what cannot be read, or never comes, is refused', () => {
  const open = (pattern: string, timeZone?: string) => () => openTimetable({ patterns: [pattern], timeZone });
  expect(open('61 * * * *')).toThrow('Cannot read the schedule "61 * * * *"');
  expect(open('every day')).toThrow('Cannot read the schedule');
  expect(open('2026-01-01T00:00:00')).toThrow('Cannot read the schedule');
  expect(open('0 0 30 2 *')).toThrow('never comes');
  expect(open('@daily', 'Mars/Base')).toThrow('There is no time zone "Mars/Base"');
});
