import { expect, it } from 'vitest';
import { median, speedRatio, summarize } from './statistics.ts';

it('takes the middle of an odd number, and the mean of the middle two of an even one, in any order', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 100, 9, 1])).toBe(9.5);
  expect(median([7])).toBe(7);
  expect(median([])).toBeUndefined();
});

it('does not change the numbers that it is given', () => {
  const numbers = [3, 1, 2];
  summarize(numbers);
  expect(numbers).toEqual([3, 1, 2]);
});

it('says how far the numbers lie apart', () => {
  expect(summarize([4, 2, 9])).toEqual({ median: 4, least: 2, most: 9 });
  expect(summarize([])).toBeUndefined();
});

it('gives a ratio above 1 when its own time is the shorter one', () => {
  expect(speedRatio(100, 250)).toBe(2.5);
  expect(speedRatio(250, 100)).toBe(0.4);
  expect(speedRatio(undefined, 100)).toBeUndefined();
  expect(speedRatio(100, undefined)).toBeUndefined();
  expect(speedRatio(0, 100)).toBeUndefined();
});
