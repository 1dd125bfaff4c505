import { expect, test } from 'vitest';
import { formatSpan, isZeroSpan, parseSpan } from './calendar-span.ts';

test.each([
  ['1y6m14d12h', { years: 1, months: 6, days: 14, hours: 12 }],
  ['2d1y', { years: 1, months: 0, days: 2, hours: 0 }],
  ['6m', { years: 0, months: 6, days: 0, hours: 0 }],
  ['2w', { years: 0, months: 0, days: 14, hours: 0 }],
  ['1w3d', { years: 0, months: 0, days: 10, hours: 0 }],
  ['0h', { years: 0, months: 0, days: 0, hours: 0 }],
])('"%s" is a span', (text, span) => {
  expect(parseSpan(text)).toEqual(span);
});

test.each(['', '5', 'm', '-3d', '3d-', '1h1h', '1.5d', '3s', '1y ', '99999999d', 'unlimited'])(
  '"%s" is none',
  (text) => {
    expect(() => parseSpan(text)).toThrow('Cannot read the span');
  },
);

test('a span is shown largest unit first', () => {
  expect(formatSpan(parseSpan('12h1w1y'))).toBe('1y7d12h');
  expect(formatSpan(parseSpan('0d'))).toBe('0h');
});

test('only a span of no length is zero', () => {
  expect(isZeroSpan(parseSpan('0d0y'))).toBe(true);
  expect(isZeroSpan(parseSpan('1h'))).toBe(false);
});
