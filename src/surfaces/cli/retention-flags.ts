import type { KeepRules, Period, PruneLimits } from '../../app/app.ts';
import { type CalendarSpan, parseSpan } from '../../model/calendar-span.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { parseSize } from '../../model/size.ts';
import { defaultUnusedLimit, parseUnusedLimit } from '../../model/unused-limit.ts';

export interface PruneLimitFlags {
  readonly maxUnused?: string;
  readonly maxRepackSize?: string;
}

export interface KeepFlags {
  readonly keepLast?: string;
  readonly keepHourly?: string;
  readonly keepDaily?: string;
  readonly keepWeekly?: string;
  readonly keepMonthly?: string;
  readonly keepYearly?: string;
  readonly keepWithin?: string;
  readonly keepWithinHourly?: string;
  readonly keepWithinDaily?: string;
  readonly keepWithinWeekly?: string;
  readonly keepWithinMonthly?: string;
  readonly keepWithinYearly?: string;
  readonly keepTag?: readonly string[];
}

export function pruneLimitsOf({ maxUnused, maxRepackSize }: PruneLimitFlags): PruneLimits {
  return {
    maxUnused: maxUnused === undefined ? defaultUnusedLimit : parseUnusedLimit(maxUnused),
    maxRepackBytes: maxRepackSize === undefined ? undefined : parseSize(maxRepackSize),
  };
}

export function keepRulesOf(flags: KeepFlags): KeepRules {
  const counts: Record<Period, string | undefined> = {
    hourly: flags.keepHourly,
    daily: flags.keepDaily,
    weekly: flags.keepWeekly,
    monthly: flags.keepMonthly,
    yearly: flags.keepYearly,
  };
  const spans: Record<Period, string | undefined> = {
    hourly: flags.keepWithinHourly,
    daily: flags.keepWithinDaily,
    weekly: flags.keepWithinWeekly,
    monthly: flags.keepWithinMonthly,
    yearly: flags.keepWithinYearly,
  };
  return {
    last: flags.keepLast === undefined ? undefined : parseCount(flags.keepLast),
    count: mapGiven<number>(counts, parseCount),
    within: flags.keepWithin === undefined ? undefined : parseSpan(flags.keepWithin),
    periodWithin: mapGiven<CalendarSpan>(spans, parseSpan),
    tags: tagLists(flags.keepTag),
  };
}

function mapGiven<T>(
  texts: Readonly<Record<Period, string | undefined>>,
  parse: (text: string) => T,
): Partial<Record<Period, T>> {
  const given = Object.entries(texts).flatMap(([period, text]) =>
    text === undefined ? [] : [[period, parse(text)] as const],
  );
  return Object.fromEntries(given) as Partial<Record<Period, T>>;
}

/** A number of snapshots; `unlimited` is all. */
export function parseCount(text: string): number {
  if (text === 'unlimited') return Number.POSITIVE_INFINITY;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new AppError('usage', `Cannot read ${quote(text)} as a number of snapshots`, {
    hint: 'Write a whole number, or "unlimited".',
  });
}

/** Each flag is a list: `A,B` means both. */
export function tagLists(texts: readonly string[] = []): string[][] {
  return texts.map((text) => text.split(','));
}
