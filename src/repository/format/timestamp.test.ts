import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTime, isStrictTime, parseTime } from './timestamp.ts';

const firstYear = -62_135_596_800_000_000_000n;
const lastYear = 253_402_300_799_999_999_999n;

test('every nanosecond of the years 1 to 9999 survives', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: firstYear, max: lastYear }), (ns) => {
      expect(parseTime(formatTime(ns))).toBe(ns);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  [0n, '1970-01-01T00:00:00Z'],
  [1n, '1970-01-01T00:00:00.000000001Z'],
  [-1n, '1969-12-31T23:59:59.999999999Z'],
  [1_500_000_000n, '1970-01-01T00:00:01.5Z'],
  [1_706_702_400_123_450_000n, '2024-01-31T12:00:00.12345Z'],
  [firstYear, '0001-01-01T00:00:00Z'],
  [firstYear - 1n, '0001-01-01T00:00:00Z'],
  [lastYear, '9999-12-31T23:59:59.999999999Z'],
  [lastYear + 1n, '9999-12-31T23:59:59.999999999Z'],
  [(1n << 63n) * 1_000_000_000n, '9999-12-31T23:59:59.999999999Z'],
])('formatTime() writes %s as Go does: %s', (ns, text) => {
  expect(formatTime(ns)).toBe(text);
});

test.each([
  ['2024-01-31T13:30:00+01:30', 1_706_702_400_000_000_000n],
  ['2024-01-31T11:00:00.5-01:00', 1_706_702_400_500_000_000n],
  ['2024-02-29T00:00:00Z', 1_709_164_800_000_000_000n],
  ['0001-01-01T00:00:00Z', firstYear],
  ['1970-01-01T00:00:00.1234567899Z', 123_456_789n],
])('parseTime() reads %s', (text, ns) => {
  expect(parseTime(text)).toBe(ns);
});

test.each([
  [''],
  ['yesterday'],
  ['2024-01-31'],
  ['2024-01-31 12:00:00Z'],
  ['2024-01-31T12:00:00'],
  ['2024-01-31T12:00:00.Z'],
  ['2024-01-31T12:00:00ZZ'],
  ['-2024-01-31T12:00:00Z'],
  ['99999999999-01-31T12:00:00Z'],
  ['2024-01-31T12:00:00+0100'],
])('parseTime() refuses %j', (text) => {
  expect(parseTime(text)).toBeUndefined();
});

test.each([
  ['2026-02-28T23:59:59Z', true],
  ['0001-01-01T00:00:00Z', true],
  ['9999-12-31T23:59:59.999999999+14:00', true],
  ['10000-01-01T00:00:00Z', false],
  ['2026-02-29T00:00:00Z', false],
  ['2026-13-01T00:00:00Z', false],
  ['2026-01-01T24:00:00Z', false],
  ['2026-01-01T00:00:60Z', false],
  ['2026-01-01T00:00:00', false],
  ['2026-01-01T00:00:00+24:00', false],
  ['2026-01-01', false],
  ['yesterday', false],
])('%s is a time for restic: %s', (text, expected) => {
  expect(isStrictTime(text)).toBe(expected);
});
