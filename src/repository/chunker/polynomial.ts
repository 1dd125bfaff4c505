import { randomBytes } from 'node:crypto';

/** A polynomial over GF(2): bit i is the coefficient of x^i. */
export type Polynomial = bigint;

/** The degree that restic's chunker uses. */
export const chunkerDegree = 53;

/** A random irreducible polynomial of degree 53, for a new repository. */
export function randomPolynomial(random: (length: number) => Uint8Array = randomBytes): Polynomial {
  for (let attempt = 0; attempt < 100_000; attempt++) {
    const bits = Buffer.from(random(8)).readBigUInt64LE();
    const candidate = (bits & ((1n << 53n) - 1n)) | (1n << 53n) | 1n;
    if (isIrreducible(candidate)) return candidate;
  }
  throw new Error('No irreducible polynomial found: the source of randomness is broken');
}

/** Rabin's test: x^(2^n) = x mod f, and gcd(x^(2^(n/p)) - x, f) = 1 for each prime p that divides n. 53 is prime. */
export function isIrreducible(f: Polynomial): boolean {
  const n = degree(f);
  if (n !== chunkerDegree) return false;
  if (greatestCommonDivisor(f, frobenius(1, f) ^ 2n) !== 1n) return false;
  return frobenius(n, f) === 2n;
}

/** x^(2^k) mod f */
function frobenius(k: number, f: Polynomial): Polynomial {
  let power = 2n;
  for (let i = 0; i < k; i++) power = remainder(square(power), f);
  return power;
}

function square(a: Polynomial): Polynomial {
  let result = 0n;
  for (let i = 0n; a >> i !== 0n; i++) if ((a >> i) & 1n) result |= 1n << (2n * i);
  return result;
}

export function degree(a: Polynomial): number {
  return a.toString(2).length - 1;
}

export function remainder(a: Polynomial, f: Polynomial): Polynomial {
  const n = degree(f);
  let rest = a;
  for (let d = degree(rest); rest !== 0n && d >= n; d = degree(rest)) rest ^= f << BigInt(d - n);
  return rest;
}

function greatestCommonDivisor(a: Polynomial, b: Polynomial): Polynomial {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, remainder(x, y)];
  return x;
}

export interface RollingTables {
  /** `out[b]`: what byte b contributes 63 bytes later, when it leaves the window. */
  readonly out: BigUint64Array;
  /** `mod[b]`: b·x^53 reduced, with b·x^53 itself, so that one XOR clears and reduces. */
  readonly mod: BigUint64Array;
}

export const windowSize = 64;

/** The tables of the rolling Rabin fingerprint, for an irreducible polynomial of degree 53. */
export function rollingTables(f: Polynomial): RollingTables {
  const k = BigInt(chunkerDegree);
  const mod = new BigUint64Array(256);
  for (let b = 0; b < 256; b++) {
    const high = BigInt(b) << k;
    mod[b] = remainder(high, f) | high;
  }
  const out = new BigUint64Array(256);
  for (let bit = 0; bit < 8; bit++) {
    let hash = 1n << BigInt(bit);
    for (let i = 0; i < windowSize - 1; i++) hash = remainder(hash << 8n, f);
    out[1 << bit] = hash;
  }
  // The fingerprint is linear: every other byte is the sum of its bits.
  for (let b = 1; b < 256; b++) {
    const lowest = b & -b;
    out[b] = (out[lowest] ?? 0n) ^ (out[b ^ lowest] ?? 0n);
  }
  return { out, mod };
}
