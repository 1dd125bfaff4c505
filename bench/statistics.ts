/** The middle of the numbers, or the mean of the two in the middle. Undefined for none. */
export function median(numbers: readonly number[]): number | undefined {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) return undefined;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Undefined for no numbers. */
export function summarize(numbers: readonly number[]): Summary | undefined {
  const middle = median(numbers);
  if (middle === undefined) return undefined;
  return { median: middle, least: Math.min(...numbers), most: Math.max(...numbers) };
}

/** How many times faster `ownMs` is than `otherMs`: above 1 is faster, below 1 slower. Undefined without both. */
export function speedRatio(ownMs: number | undefined, otherMs: number | undefined): number | undefined {
  if (ownMs === undefined || otherMs === undefined || ownMs <= 0) return undefined;
  return otherMs / ownMs;
}
