import { expect, test } from 'vitest';
import { countIds, type IdList, idListOf, jsonLengthOf, parseIds, sliceIds, writeIds } from './id-list.ts';

const ids = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(64));

function jsonOf(lists: readonly IdList[]): string {
  const target = Buffer.alloc(jsonLengthOf(lists) + 5, '.');
  expect(writeIds(lists, target, 3)).toBe(target.length - 2);
  expect(target.subarray(0, 3).toString()).toBe('...');
  expect(target.subarray(-2).toString()).toBe('..');
  return target.subarray(3, -2).toString();
}

test('lists of ids are written as the inner part of a JSON array', () => {
  for (let length = 0; length <= ids.length; length++) {
    const lists = [idListOf(ids.slice(0, length)), idListOf([]), idListOf(ids.slice(length))];
    expect(JSON.parse(`[${jsonOf(lists)}]`)).toEqual(ids);
  }
  expect(jsonOf([])).toBe('');
  expect(jsonOf([idListOf([])])).toBe('');
});

test('a list is counted and cut as an array is', () => {
  for (let length = 0; length <= ids.length; length++) {
    const list = idListOf(ids.slice(0, length));
    expect(countIds(list)).toBe(length);
    for (let from = 0; from <= length + 1; from++)
      for (let to = from; to <= length + 1; to++)
        expect(sliceIds(list, from, to)).toEqual(idListOf(ids.slice(0, length).slice(from, to)));
  }
});

test('written ids can be read, and nothing else is taken for ids', () => {
  for (let length = 0; length <= ids.length; length++) {
    const list = idListOf(ids.slice(0, length));
    expect(parseIds(jsonOf([list]))).toEqual(list);
  }
  for (const other of ['"', `"${'a'.repeat(63)}"`, `"${'x'.repeat(64)}"`, `"${ids[0]}","${'x'.repeat(64)}"`])
    expect(parseIds(other)).toBeUndefined();
});
