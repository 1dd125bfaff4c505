import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** A calendar span: months have their actual length. */
export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const units: Readonly<Record<string, readonly [field: keyof CalendarSpan, each: number]>> = {
  y: ['years', 1],
  m: ['months', 1],
  w: ['days', 7],
  d: ['days', 1],
  h: ['hours', 1],
};

/**
 * `1y6m14d12h`, `6m`, `2w`: years, months, weeks, days and hours, in any order, each once. Here "m" is a
 * month.
 */
export function parseSpan(text: string): CalendarSpan {
  const span = { years: 0, months: 0, days: 0, hours: 0 };
  const parts = [...text.matchAll(/(\d{1,6})([ymwdh])/g)];
  const isWhole = parts.map(([part]) => part).join('') === text;
  const seen = new Set(parts.map(([, , unit]) => unit));
  if (text === '' || !isWhole || seen.size < parts.length) {
    throw new AppError('usage', `Cannot read the span ${quote(text)}`, {
      hint: 'Write spans like "1y6m" (a year and six months), "2w", "14d" or "36h".',
    });
  }
  for (const [, digits, unit = ''] of parts) {
    const [field, each] = units[unit] ?? ['hours', 0];
    span[field] += Number(digits) * each;
  }
  return span;
}

export function formatSpan({ years, months, days, hours }: CalendarSpan): string {
  const parts = [
    [years, 'y'],
    [months, 'm'],
    [days, 'd'],
    [hours, 'h'],
  ] as const;
  return parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('') || '0h';
}

/** True for a span of no length. */
export function isZeroSpan({ years, months, days, hours }: CalendarSpan): boolean {
  return years === 0 && months === 0 && days === 0 && hours === 0;
}
