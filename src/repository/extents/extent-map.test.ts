import fc from 'fast-check';
import { expect, test } from 'vitest';
import { differingRanges, type Extent } from './file-extents.ts';

test('parts that are in the same place are the same, however they are cut', () => {
  const whole = [{ start: 0, end: 300, physical: 1000 }];
  const cut = [
    { start: 0, end: 100, physical: 1000 },
    { start: 100, end: 300, physical: 1100 },
  ];
  expect(differingRanges(whole, cut, 300)).toEqual([]);
  expect(differingRanges(whole, [{ start: 0, end: 300, physical: 1001 }], 300)).toEqual([
    { offset: 0, length: 300 },
  ]);
  expect(differingRanges(whole, [], 200)).toEqual([{ offset: 0, length: 200 }]);
  expect(differingRanges([], [], 200)).toEqual([]);
});

test('extents at one place of different containers or generations are not the same', () => {
  const one = { start: 0, end: 100, physical: 0, within: 4096, generation: 7 };
  const two = { start: 100, end: 200, physical: 0, within: 8192, generation: 7 };
  expect(differingRanges([one, two], [one, two], 200)).toEqual([]);
  for (const other of [
    { ...two, within: 16384 },
    { ...two, generation: 8 },
    { ...two, physical: 1 },
  ])
    expect(differingRanges([one, two], [one, other], 200)).toEqual([{ offset: 100, length: 100 }]);
  const late = { ...one, start: 50, physical: 50 };
  expect(differingRanges([late], [one], 200)).toEqual([{ offset: 0, length: 50 }]);
});

test('the differing ranges equal a comparison block by block', () => {
  const blocks = 40;
  /** Each block in a hole, or in one of a few places. */
  const file = fc.array(fc.option(fc.nat(3), { nil: undefined }), { minLength: blocks, maxLength: blocks });
  const extentsOf = (places: readonly (number | undefined)[]): Extent[] =>
    places.flatMap((place, i) =>
      place === undefined ? [] : [{ start: i * 10, end: i * 10 + 10, physical: place * 1000 + i * 10 }],
    );
  fc.assert(
    fc.property(file, file, fc.nat(blocks), fc.boolean(), (one, other, end, isJoined) => {
      const join = (extents: Extent[]): Extent[] => (isJoined ? joined(extents) : extents);
      const ranges = differingRanges(join(extentsOf(one)), extentsOf(other), end * 10);
      const found = new Set(
        ranges.flatMap(({ offset, length }) =>
          Array.from({ length: length / 10 }, (_, k) => offset / 10 + k),
        ),
      );
      const expected = Array.from({ length: end }, (_, k) => k).filter((k) => one[k] !== other[k]);
      expect([...found]).toEqual(expected);
    }),
  );
});

function joined(extents: readonly Extent[]): Extent[] {
  const result: Extent[] = [];
  for (const extent of extents) {
    const before = result.at(-1);
    const isNext =
      before?.end === extent.start && before.physical + before.end - before.start === extent.physical;
    if (before !== undefined && isNext) result[result.length - 1] = { ...before, end: extent.end };
    else result.push(extent);
  }
  return result;
}
