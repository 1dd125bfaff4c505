import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isZone, zonedInstant } from './parse-time.ts';

function at(text: string, zone: string): string {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = text.split(/\D/).map(Number);
  return new Date(zonedInstant({ year, month, day, hour, minute, second: 0, ms: 0 }, zone)).toISOString();
}

test.each([
  // Clocks are set back at three: the hour from two on occurs twice.
  ['2026-10-25 01:59', 'Europe/Berlin', '2026-10-24T23:59'],
  ['2026-10-25 02:30', 'Europe/Berlin', '2026-10-25T01:30'],
  ['2026-10-25 03:00', 'Europe/Berlin', '2026-10-25T02:00'],
  // And forward at two: the hour from two on is skipped.
  ['2026-03-29 01:59', 'Europe/Berlin', '2026-03-29T00:59'],
  ['2026-03-29 02:30', 'Europe/Berlin', '2026-03-29T01:30'],
  ['2026-03-29 03:00', 'Europe/Berlin', '2026-03-29T01:00'],
  // By half an hour, and across the date line.
  ['2026-04-05 01:45', 'Australia/Lord_Howe', '2026-04-04T15:15'],
  ['2026-01-01 00:00', 'Pacific/Kiritimati', '2025-12-31T10:00'],
  ['2026-01-01 00:00', 'Pacific/Pago_Pago', '2026-01-01T11:00'],
])('%s in %s is %sZ', (wall, zone, instant) => {
  expect(at(wall, zone)).toBe(`${instant}:00.000Z`);
});

test('in UTC every wall time is the instant itself', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date('1971-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
      (date) => {
        const wall = {
          year: date.getUTCFullYear(),
          month: date.getUTCMonth() + 1,
          day: date.getUTCDate(),
          hour: date.getUTCHours(),
          minute: date.getUTCMinutes(),
          second: date.getUTCSeconds(),
          ms: date.getUTCMilliseconds(),
        };
        expect(zonedInstant(wall, 'UTC')).toBe(date.getTime());
      },
    ),
  );
});

test('isZone() knows zones by their names', () => {
  expect(['UTC', 'Europe/Berlin', 'America/New_York'].every(isZone)).toBe(true);
  expect(['', 'Europe/Nowhere', '../etc/passwd'].some(isZone)).toBe(false);
});
