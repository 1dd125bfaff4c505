import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  degree,
  isIrreducible,
  randomPolynomial,
  remainder,
  rollingTables,
  windowSize,
} from './polynomial.ts';

/** The polynomial of restic's own chunker tests. */
const known = 0x3da3358b4dc173n;

const anyPolynomial = fc.bigInt({ min: 0n, max: (1n << 80n) - 1n });

/** Carry-less multiplication, bit by bit. */
function multiply(a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let bit = 0n; b >> bit !== 0n; bit++) if ((b >> bit) & 1n) product ^= a << bit;
  return product;
}

test('isIrreducible() takes a polynomial that is known to be irreducible', () => {
  expect(isIrreducible(known)).toBe(true);
});

test.each([
  ['zero', 0n],
  ['one', 1n],
  ['x', 2n],
  ['a constant term of zero', known - 1n],
  ['a square', multiply(1n << 26n, 1n << 27n)],
  ['a factor of x + 1: an even number of terms', (1n << 53n) | 1n],
  ['a lower degree', 0b1011n],
  ['a higher degree', (1n << 54n) | 1n],
])('isIrreducible() refuses %s', (_what, polynomial) => {
  expect(isIrreducible(polynomial)).toBe(false);
});

test('isIrreducible() refuses every product of degree 53', () => {
  const factors = fc
    .tuple(fc.bigInt({ min: 2n, max: (1n << 52n) - 1n }), fc.bigInt({ min: 0n, max: (1n << 53n) - 1n }))
    .map(([a, bits]) => {
      const missing = BigInt(53 - degree(a));
      return multiply(a, (1n << missing) | (bits & ((1n << missing) - 1n)));
    });
  fc.assert(
    fc.property(factors, (product) => {
      expect(degree(product)).toBe(53);
      expect(isIrreducible(product)).toBe(false);
    }),
    { numRuns: 60 },
  );
});

test('remainder() is below the divisor, and the rest is a multiple of it', () => {
  fc.assert(
    fc.property(anyPolynomial, fc.bigInt({ min: 0n, max: (1n << 40n) - 1n }), (a, factor) => {
      const rest = remainder(a, known);
      expect(degree(rest)).toBeLessThan(53);
      expect(remainder(a ^ multiply(factor, known), known)).toBe(rest);
    }),
  );
});

test('randomPolynomial() gives irreducible polynomials of degree 53 with a constant term', () => {
  const found = Array.from({ length: 3 }, () => randomPolynomial());
  for (const polynomial of found) {
    expect(degree(polynomial)).toBe(53);
    expect(polynomial & 1n).toBe(1n);
    expect(isIrreducible(polynomial)).toBe(true);
  }
  expect(new Set(found).size).toBe(3);
});

test('randomPolynomial() gives up on a source of randomness that is stuck', () => {
  expect(() => randomPolynomial(() => Buffer.alloc(8))).toThrow('source of randomness');
});

test('rollingTables() hold what a byte contributes when it leaves the window, and when it overflows', () => {
  const { out, mod } = rollingTables(known);
  for (const byte of [0, 1, 2, 3, 0x80, 0xa5, 0xff]) {
    expect(out[byte]).toBe(remainder(BigInt(byte) << BigInt(8 * (windowSize - 1)), known));
    const high = BigInt(byte) << 53n;
    expect(mod[byte]).toBe(high | remainder(high, known));
  }
});
