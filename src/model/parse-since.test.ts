import { expect, test } from 'vitest';
import { parseSince } from './parse-time.ts';

const now = new Date(2026, 0, 31, 12, 30, 15, 500);

test.each([
  ['monday', new Date(2026, 0, 26)],
  ['yesterday-14:00', new Date(2026, 0, 30, 14, 0)],
  ['2026-01-31T12:00[Europe/Berlin]', new Date('2026-01-31T11:00:00Z')],
  ['today', new Date(2026, 0, 31)],
  ['yesterday', new Date(2026, 0, 30)],
  ['2026-01-02', new Date(2026, 0, 2)],
  ['2026-01-02T10:20', new Date(2026, 0, 2, 10, 20)],
  ['2026-01-02 10:20:30', new Date(2026, 0, 2, 10, 20, 30)],
  ['2026-01-02T10:20:30.25', new Date(2026, 0, 2, 10, 20, 30, 250)],
  ['2026-01-02T10:20Z', new Date('2026-01-02T10:20:00Z')],
  ['2026-01-02T10:20:30+02:00', new Date('2026-01-02T10:20:30+02:00')],
  ['now', now],
  ['3h', new Date(2026, 0, 31, 9, 30, 15, 500)],
])('%s begins where it says', (text, expected) => {
  expect(parseSince(text, now)).toEqual(expected);
});

test('an invalid time is refused', () => {
  expect(() => parseSince('soon', now)).toThrow('Cannot read time "soon"');
});
