import { expect, test } from 'vitest';
import { formatAge, formatDuration, isDuration, parseDuration } from './duration.ts';

test.each([
  ['500ms', 500],
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['7d', 7 * 86_400_000],
  ['2w', 14 * 86_400_000],
  ['0s', 0],
])('parseDuration() reads %j', (text, durationMs) => {
  expect(parseDuration(text)).toBe(durationMs);
  expect(isDuration(text)).toBe(true);
});

test.each(['', '5', 's', '-1s', '1 h', '1y', '1h ', '99999999999999999999w'])(
  'parseDuration() refuses %j',
  (text) => {
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);

test.each([
  [0, '0ms'],
  [350, '350ms'],
  [999.6, '1.0s'],
  [4_200, '4.2s'],
  [9_960, '10s'],
  [59_600, '1m'],
  [72_000, '1m 12s'],
  [3_599_700, '1h'],
  [7_500_000, '2h 5m'],
  [86_399_999, '1d'],
  [273_600_000, '3d 4h'],
])('formatDuration() shows %d ms as %s', (durationMs, shown) => {
  expect(formatDuration(durationMs)).toBe(shown);
});

const now = new Date('2026-02-01T12:00:00Z');

test.each([
  ['2026-02-01T12:00:00Z', 'just now'],
  ['2026-02-01T11:59:59Z', '1 second ago'],
  ['2026-02-01T11:59:18Z', '42 seconds ago'],
  ['2026-02-01T11:57:00Z', '3 minutes ago'],
  ['2026-02-01T10:59:00Z', '1 hour ago'],
  ['2026-01-31T11:00:00Z', '1 day ago'],
  ['2026-01-22T12:00:00Z', '10 days ago'],
  ['2026-01-11T12:00:00Z', '3 weeks ago'],
  ['2025-11-01T12:00:00Z', '3 months ago'],
  ['2023-02-01T12:00:00Z', '3 years ago'],
  ['2026-02-01T12:05:00Z', 'in 5 minutes'],
  ['nonsense', 'unknown'],
])('formatAge() tells %s as %s', (time, shown) => {
  expect(formatAge(time, now)).toBe(shown);
});
