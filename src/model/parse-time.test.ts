import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AppError } from './errors.ts';
import { isTime, parseTime } from './parse-time.ts';

const now = new Date(2026, 1, 1, 12, 30, 15, 250);

test.each([
  ['now', now],
  ['today', new Date(2026, 1, 1, 23, 59, 59, 999)],
  ['yesterday', new Date(2026, 0, 31, 23, 59, 59, 999)],
  // 1 February 2026 is a Sunday.
  ['saturday', new Date(2026, 0, 31, 23, 59, 59, 999)],
  ['Monday', new Date(2026, 0, 26, 23, 59, 59, 999)],
  ['sunday', new Date(2026, 0, 25, 23, 59, 59, 999)],
  ['09:05', new Date(2026, 1, 1, 9, 5, 59, 999)],
  ['yesterday-14:00', new Date(2026, 0, 31, 14, 0, 59, 999)],
  ['yesterdayT14:00:07', new Date(2026, 0, 31, 14, 0, 7, 999)],
  ['monday 00:00', new Date(2026, 0, 26, 0, 0, 59, 999)],
  ['2026-01-31T12:00[Europe/Berlin]', new Date('2026-01-31T11:00:59.999Z')],
  ['2026-07-31T12:00:05[Europe/Berlin]', new Date('2026-07-31T10:00:05.999Z')],
  ['2026-07-31T12:00:05.5[America/New_York]', new Date('2026-07-31T16:00:05.500Z')],
  ['2026-07-31 12:00[Asia/Kathmandu]', new Date('2026-07-31T06:15:59.999Z')],
  ['2026-07-31 12:00[UTC]', new Date('2026-07-31T12:00:59.999Z')],
  ['3h', new Date(2026, 1, 1, 9, 30, 15, 250)],
  ['1d12h', new Date(now.getTime() - 36 * 3_600_000)],
  ['2026-01-31', new Date(2026, 0, 31, 23, 59, 59, 999)],
  ['2026-01-31T12:00', new Date(2026, 0, 31, 12, 0, 59, 999)],
  ['2026-01-31 12:00:05', new Date(2026, 0, 31, 12, 0, 5, 999)],
  ['2026-01-31T12:00:05.25', new Date(2026, 0, 31, 12, 0, 5, 250)],
  ['2026-01-31T12:00:05Z', new Date('2026-01-31T12:00:05.999Z')],
  ['2026-01-31T12:00:05.123456789+01:00', new Date('2026-01-31T11:00:05.123Z')],
  ['2026-01-31T12:00-0530', new Date('2026-01-31T17:30:59.999Z')],
  ['2024-02-29', new Date(2024, 1, 29, 23, 59, 59, 999)],
])('parseTime() reads %j', (text, time) => {
  expect(parseTime(text, now)).toEqual(time);
  expect(isTime(text)).toBe(true);
});

test.each([
  '',
  'tomorrow',
  '2026-02-29',
  '2026-13-01',
  '2026-00-10',
  '2026-01-00',
  '2026-01-31T24:00',
  '2026-01-31T12',
  '31.01.2026',
  '3',
  '24:00',
  '12:60',
  'yesterday-24:00',
  'someday-12:00',
  'now-12:00',
  '2026-01-31T12:00[Europe/Nowhere]',
  '2026-01-31[Europe/Berlin]',
  '2026-13-31T12:00[UTC]',
  '2026-01-31T12:60[UTC]',
])('parseTime() refuses %j', (text) => {
  expect(isTime(text)).toBe(false);
  expect(() => parseTime(text, now)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test('parseTime() gives a valid time or an AppError for any text', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?$/)),
      (text) => {
        try {
          expect(parseTime(text, now).getTime()).not.toBeNaN();
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      },
    ),
  );
});
