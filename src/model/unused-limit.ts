import { AppError } from './errors.ts';
import { quote } from './quote.ts';
import { parseSize } from './size.ts';

/** How much unused data may stay in a repository, because repacking it would cost more than it frees. */
export type UnusedLimit =
  /** Of all data after the prune. */
  | { readonly kind: 'percent'; readonly percent: number }
  | { readonly kind: 'bytes'; readonly bytes: number }
  /** Nothing is repacked: only packs without used data are removed. */
  | { readonly kind: 'unlimited' };

export const defaultUnusedLimit: UnusedLimit = { kind: 'percent', percent: 5 };

/** `5%`, `200m` or `unlimited`. */
export function parseUnusedLimit(text: string): UnusedLimit {
  if (text === 'unlimited') return { kind: 'unlimited' };
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent === undefined) return { kind: 'bytes', bytes: parseBytes(text) };
  if (Number(percent) < 100) return { kind: 'percent', percent: Number(percent) };
  throw new AppError('usage', `Cannot tolerate ${quote(text)} of unused data`, {
    hint: 'Write less than 100%, or "unlimited".',
  });
}

function parseBytes(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new AppError('usage', `Cannot read the limit ${quote(text)}`, {
      hint: 'Write limits like "5%", "200m" or "unlimited".',
      cause: error,
    });
  }
}
