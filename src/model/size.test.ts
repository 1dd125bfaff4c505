import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSize, parseSize } from './size.ts';

test.each([
  ['0', 0],
  ['4096', 4096],
  ['512b', 512],
  ['32kb', 32 * 1024],
  ['32 KiB', 32 * 1024],
  ['100m', 100 * 2 ** 20],
  ['10g', 10 * 2 ** 30],
  ['1.5GiB', 1.5 * 2 ** 30],
  ['1t', 2 ** 40],
  ['2P', 2 * 2 ** 50],
  ['.5k', 512],
  ['0.3', 0],
])('parseSize() reads %j as Docker does', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  ['', "invalid size: ''"],
  ['x', "invalid size: 'x'"],
  ['-1', "invalid size: '-1'"],
  ['1  k', "invalid size: '1  k'"],
  ['1e3', "invalid size: '1e3'"],
  ['10x', "invalid suffix: 'x'"],
  ['10kbit', "invalid suffix: 'kbit'"],
  ['10bb', "invalid suffix: 'bb'"],
])('parseSize() refuses %j', (text, message) => {
  expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'usage', message }));
});

test('parseSize() refuses a size that a number cannot hold exactly', () => {
  expect(() => parseSize('99999999p')).toThrow('Size "99999999p" is too large');
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [1_234_567, '1.2 MB'],
  [999_949, '999.9 kB'],
  [999_950, '1.0 MB'],
  [1_200_000_000, '1.2 GB'],
  [2.5e12, '2.5 TB'],
  [-1500, '-1.5 kB'],
])('formatSize() shows %d as %s', (bytes, shown) => {
  expect(formatSize(bytes)).toBe(shown);
});

test('formatSize() never shows a thousand of a unit', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      expect(Number.parseFloat(formatSize(bytes))).toBeLessThan(1000);
    }),
  );
});
