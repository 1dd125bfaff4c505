import { expect, test } from 'vitest';
import { countIds, idListOf, joinIds, sliceIds } from './id-list.ts';

const ids = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(64));

test('a list of ids is the inner part of a JSON array', () => {
  expect(JSON.parse(`[${idListOf(ids)}]`)).toEqual(ids);
  expect(idListOf([])).toBe('');
});

test('is counted, cut and joined as an array is', () => {
  for (let length = 0; length <= ids.length; length++) {
    const some = ids.slice(0, length);
    expect(countIds(idListOf(some))).toBe(length);
    for (let from = 0; from <= length + 1; from++)
      for (let to = from; to <= length + 1; to++)
        expect(sliceIds(idListOf(some), from, to)).toBe(idListOf(some.slice(from, to)));
    expect(joinIds([idListOf(some), '', idListOf(ids.slice(length))])).toBe(idListOf(ids));
  }
});
