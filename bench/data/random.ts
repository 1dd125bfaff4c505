import { createCipheriv, createHash } from 'node:crypto';

/** A stream of numbers that depends only on its seed: the same data on every machine. Not for secrets. */
export interface Random {
  /** In [0, 1). */
  readonly next: () => number;
  /** A whole number in [0, below). */
  readonly below: (limit: number) => number;
  /** Normally distributed, mean 0, deviation 1. */
  readonly normal: () => number;
}

/** The small fast counting generator (sfc32), which passes the usual test batteries and needs no bigints. */
export function randomOf(seed: string): Random {
  const words = createHash('sha256').update(seed).digest();
  let a = words.readInt32LE(0);
  let b = words.readInt32LE(4);
  let c = words.readInt32LE(8);
  let counter = words.readInt32LE(12);

  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (limit) => Math.floor(next() * limit),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}

/**
 * Incompressible bytes that depend only on the seed; consecutive calls of the function continue the same
 * stream.
 */
export function noiseOf(seed: string): (sizeBytes: number) => Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16, 32));
  return (sizeBytes) => cipher.update(Buffer.alloc(sizeBytes));
}
