import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** How data in use can be asked to be kept still. */
export const consistencyWishes = ['auto', 'freeze', 'two-pass', 'pause', 'stop', 'live'] as const;
export type ConsistencyWish = (typeof consistencyWishes)[number];

export function parseConsistency(text: string): ConsistencyWish {
  const wish = consistencyWishes.find((known) => known === text);
  if (wish !== undefined) return wish;
  throw new AppError('usage', `There is no consistency ${quote(text)}`, {
    hint: `It is one of ${consistencyWishes.join(', ')}.`,
  });
}
