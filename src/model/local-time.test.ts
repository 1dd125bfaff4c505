import { afterEach, expect, test } from 'vitest';
import { localTime } from './local-time.ts';
import { parseTime } from './parse-time.ts';

const formerZone = process.env['TZ'];

afterEach(() => {
  if (formerZone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = formerZone;
});

test.each([
  ['UTC', '2026-11-24T12:36:58Z'],
  ['Europe/Berlin', '2026-11-24T13:36:58+01:00'],
  ['Asia/Kolkata', '2026-11-24T18:06:58+05:30'],
  ['America/St_Johns', '2026-11-24T09:06:58-03:30'],
])('in %s a time is shown as its clocks have it, with the offset: %s', (zone, shown) => {
  process.env['TZ'] = zone;
  expect(localTime('2026-11-24T12:36:58.123456789Z')).toBe(shown);
  expect(localTime('2026-11-24T21:36:58+09:00')).toBe(shown);
  expect(localTime(Date.parse('2026-11-24T12:36:58.500Z'))).toBe(shown);
});

test('the offset distinguishes the repeated hour in autumn', () => {
  process.env['TZ'] = 'Europe/Berlin';
  expect(localTime('2026-10-25T00:30:00Z')).toBe('2026-10-25T02:30:00+02:00');
  expect(localTime('2026-10-25T01:30:00Z')).toBe('2026-10-25T02:30:00+01:00');
});

test('a shown time parses as the end of the same second', () => {
  process.env['TZ'] = 'Europe/Berlin';
  const shown = localTime('2026-10-25T00:30:07.250Z');
  process.env['TZ'] = 'UTC';
  expect(parseTime(shown, new Date(0)).toISOString()).toBe('2026-10-25T00:30:07.999Z');
});

test('an invalid time is shown unchanged, without control characters', () => {
  expect(localTime('soon\u{1b}[2J')).not.toContain('\u{1b}');
});
