import { describe, expect, test } from 'vitest';
import { checkTimeZone, instantOf, type WallTime } from './local-time.ts';

function wall(text: string): WallTime {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = text.split(/\D/).map(Number);
  return { year, month, day, hour, minute, second };
}

describe('a time on the wall', () => {
  test.each([
    ['2026-01-31 12:00:00', 'UTC', '2026-01-31T12:00:00Z'],
    ['2026-01-31 12:00:00', 'Europe/Berlin', '2026-01-31T11:00:00Z'],
    ['2026-07-31 12:00:00', 'Europe/Berlin', '2026-07-31T10:00:00Z'],
    ['2026-01-31 12:00:00', 'America/New_York', '2026-01-31T17:00:00Z'],
    ['2026-01-31 12:00:00', 'Pacific/Kiritimati', '2026-01-30T22:00:00Z'],
    ['2026-01-31 12:00:00', 'Asia/Kathmandu', '2026-01-31T06:15:00Z'],
    // Clocks are put forward at 2:00 on the 29th of March, and back at 3:00 on the 25th of October.
    ['2026-03-29 01:59:59', 'Europe/Berlin', '2026-03-29T00:59:59Z'],
    ['2026-03-29 02:30:00', 'Europe/Berlin', '2026-03-29T01:30:00Z'],
    ['2026-03-29 03:00:00', 'Europe/Berlin', '2026-03-29T01:00:00Z'],
    ['2026-10-25 02:30:00', 'Europe/Berlin', '2026-10-25T00:30:00Z'],
    ['2026-10-25 03:00:00', 'Europe/Berlin', '2026-10-25T02:00:00Z'],
  ])('%s in %s is %s', (text, zone, expected) => {
    expect(instantOf(wall(text), zone)).toEqual(new Date(expected));
  });

  test('is by this machine when no zone is named', () => {
    expect(instantOf(wall('2026-01-31 12:00:05'), undefined)).toEqual(new Date(2026, 0, 31, 12, 0, 5));
  });

  test.each(['2026-02-30 12:00:00', '2026-13-01 00:00:00', '2026-01-01 24:00:00', '2026-01-01 00:60:00'])(
    '%s does not exist',
    (text) => {
      expect(instantOf(wall(text), 'UTC')).toBeUndefined();
    },
  );
});

test('an unknown zone is refused', () => {
  expect(checkTimeZone('Europe/Berlin')).toBe('Europe/Berlin');
  expect(() => checkTimeZone('Mars/Olympus')).toThrow('There is no time zone "Mars/Olympus"');
});
