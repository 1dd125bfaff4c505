import { expect, test } from 'vitest';
import { amount, grouped } from './size.ts';

test('`amount()` agrees with its number, and groups large ones', () => {
  expect([0, 1, 2, 12_345].map((count) => amount(count, 'pack'))).toEqual([
    '0 packs',
    '1 pack',
    '2 packs',
    '12,345 packs',
  ]);
  expect(amount(1, 'entry', 'entries')).toBe('1 entry');
  expect(amount(2, 'entry', 'entries')).toBe('2 entries');
  expect(grouped(1_234_567)).toBe('1,234,567');
});
