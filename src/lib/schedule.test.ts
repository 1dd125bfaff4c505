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

  test('handles a zone that changes by half an hour, and one that skips midnight', () => {
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

test('an invalid pattern, or one that never matches, is refused', () => {
  const open = (pattern: string, timeZone?: string) => () => openTimetable({ patterns: [pattern], timeZone });
  expect(open('61 * * * *')).toThrow('Cannot read the schedule "61 * * * *"');
  expect(open('every day')).toThrow('Cannot read the schedule');
  expect(open('2026-01-01T00:00:00')).toThrow('Cannot read the schedule');
  expect(open('0 0 30 2 *')).toThrow('never comes');
  expect(open('@daily', 'Mars/Base')).toThrow('There is no time zone "Mars/Base"');
});

describe('the longest gap', () => {
  const dayMs = 86_400_000;
  const hours = (patterns: readonly string[], zone = 'Europe/Berlin', from = '2026-03-02T08:00Z'): number =>
    longestGapMs(openTimetable({ patterns, timeZone: zone }), Date.parse(from)) / 3_600_000;

  test.each([
    // Friday 18:00 to Monday 9:00, on the weekend on which clocks are set back.
    [['0 9-18 * * 1-5'], 63 + 1],
    [['*/5 9-17 * * 1-5'], 63 + 5 / 60 + 1],
    [['0 8,20 * * 1-4'], 84 + 1],
    [['30 3 * * *'], 25],
    [['0 */6 * * *'], 6],
    [['0 * * * *'], 1],
    [['*/5 * * * *'], 5 / 60],
    [['*/5 * * * * *'], 5 / 3600],
    [['0 3 * * 0'], 7 * 24 + 1],
    // Not in December.
    [['0 * * 1-11 *'], 31 * 24 + 1],
    [['0 0 1 * *'], 31 * 24 + 1],
    [['0 0 31 * *'], 61 * 24 + 1],
    [['0 0 1 1 *'], 366 * 24],
    [['0 0 29 2 *'], (4 * 365 + 1) * 24],
    // Hours of summer and of winter.
    [['0 6-22 * 4-9 *', '0 6,18 * 1-3,10-12 *'], 12],
    [['0 3 * * *', '0 15 * * 1-5'], 24 + 1],
  ] as const)('of %j is %d hours', (patterns, expected) => {
    expect(hours(patterns)).toBeCloseTo(expected, 6);
  });

  test('equals the longest gap of all times of a year', () => {
    const pattern = fc
      .record({
        minute: fc.constantFrom('0', '15,45'),
        hour: fc.constantFrom('*', '9-17', '*/6', '3', '8,20'),
        weekday: fc.constantFrom('*', '1-5', '0', '2,4', '1-4'),
        month: fc.constantFrom('*', '1-11', '*/2'),
      })
      .map(({ minute, hour, weekday, month }) => `${minute} ${hour} * ${month} ${weekday}`);
    fc.assert(
      fc.property(fc.array(pattern, { minLength: 1, maxLength: 2 }), (patterns) => {
        const timetable = openTimetable({ patterns, timeZone: 'UTC' });
        const fromMs = Date.parse('2026-01-01T00:00:00Z');
        const afterMs = (timetable.last(fromMs) ?? fromMs) - 1000;
        const all = timesBetween(timetable, { afterMs, untilMs: fromMs + 401 * dayMs, atMost: 99_999 });
        const gaps = all.map((time, index) => time - (all[index - 1] ?? time));
        const longest = gaps.reduce((most, gap) => Math.max(most, gap), 0);
        const found = longestGapMs(timetable, fromMs);
        // Rare times are searched over a longer period.
        if (found > 28 * dayMs) expect(found).toBeGreaterThanOrEqual(longest);
        else expect(found).toBe(longest);
      }),
      { numRuns: 6 },
    );
  });
});
