import { createCipheriv, createHash, randomInt } from 'node:crypto';

/** The seed of this run: HOLDFAST_TEST_SEED repeats an earlier one, which its failures name. */
export const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? randomInt(2 ** 31));

/**
 * HOLDFAST_TEST_FAULTS=all injects each fault often enough to trust the result; by default fewer, for daily
 * runs.
 */
export function times(counts: { readonly all: number; readonly daily: number }): number {
  return process.env['HOLDFAST_TEST_FAULTS'] === 'all' ? counts.all : counts.daily;
}

/** The same for random faults: HOLDFAST_TEST_FAULTS may be their number. */
export function randomTimes(counts: { readonly all: number; readonly daily: number }): number {
  const request = Number(process.env['HOLDFAST_TEST_FAULTS']);
  return Number.isInteger(request) && request > 0 ? request : times(counts);
}

/**
 * Iterates over faults with their position: all of them in a long run, daily as many as begin within
 * `seconds`, and at least `atLeast`. Pass them in random order, so that each day omits others.
 */
export function* withinBudget<T>(
  faults: readonly T[],
  { seconds, atLeast }: { readonly seconds: number; readonly atLeast: number },
): Generator<readonly [number, T]> {
  // A run repeated with its seed must get as far as the original.
  const isLong = ['HOLDFAST_TEST_FAULTS', 'HOLDFAST_TEST_SEED'].some(
    (name) => process.env[name] !== undefined,
  );
  const startedMs = performance.now();
  for (const [index, fault] of faults.entries()) {
    if (!isLong && index >= atLeast && performance.now() - startedMs > seconds * 1000) return;
    yield [index, fault];
  }
}

export interface Dice {
  /** At least 0, less than 1. */
  fraction(): number;
  /** At least `from`, less than `to`. */
  between(from: number, to: number): number;
  pick<T>(things: readonly T[]): T;
  shuffled<T>(things: readonly T[]): T[];
  /** Bytes that do not compress. */
  bytes(length: number): Buffer;
}

/** Random numbers, equal for the same seed and purpose. */
export function dice(purpose: string): Dice {
  const key = createHash('sha256').update(`${seed} ${purpose}`).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const bytes = (length: number): Buffer => stream.update(Buffer.alloc(length));
  const fraction = (): number => bytes(4).readUInt32LE() / 2 ** 32;
  const between = (from: number, to: number): number => from + Math.floor(fraction() * (to - from));
  return {
    fraction,
    between,
    bytes,
    pick(things) {
      const thing = things[between(0, things.length)];
      if (thing === undefined) throw new Error('There is nothing to pick from');
      return thing;
    },
    shuffled(things) {
      const left = [...things];
      return things.map(() => left.splice(between(0, left.length), 1)[0] as (typeof left)[number]);
    },
  };
}

/** Moments spread over a time, unordered: a random one in each of `count` equal parts. */
export function moments(count: number, random: Dice): number[] {
  return random.shuffled(Array.from({ length: count }, (_, part) => (part + random.fraction()) / count));
}
