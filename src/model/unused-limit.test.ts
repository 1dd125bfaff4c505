import { expect, test } from 'vitest';
import { parseUnusedLimit } from './unused-limit.ts';

test.each([
  ['5%', { kind: 'percent', percent: 5 }],
  ['0%', { kind: 'percent', percent: 0 }],
  ['12.5%', { kind: 'percent', percent: 12.5 }],
  ['200m', { kind: 'bytes', bytes: 200 * 2 ** 20 }],
  ['0', { kind: 'bytes', bytes: 0 }],
  ['unlimited', { kind: 'unlimited' }],
])('"%s" is a limit', (text, limit) => {
  expect(parseUnusedLimit(text)).toEqual(limit);
});

test.each(['100%', '250%', '-1%', '%', 'all', '', '5 %'])('"%s" is none', (text) => {
  expect(() => parseUnusedLimit(text)).toThrow(/^Cannot (read|tolerate)/);
});
