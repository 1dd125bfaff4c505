import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** The longest delay that a timer of Node.js takes: one of more ends at once. */
export const longestTimerMs = 2 ** 31 - 1;

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const whole = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/;
const part = /(\d+(?:\.\d+)?)(ms|[smhdw])/g;

/** Milliseconds of `90s`, `1h30m`, `7d`, `2w`, `500ms`. A number without a unit is refused as ambiguous. */
export function parseDuration(text: string): number {
  if (!whole.test(text)) throw unreadable(text);
  let total = 0;
  for (const [, number, unit] of text.matchAll(part))
    total += Number(number) * (unitMs[unit ?? ''] ?? Number.NaN);
  if (!Number.isFinite(total) || total > Number.MAX_SAFE_INTEGER) throw unreadable(text);
  return Math.round(total);
}

/** True for what `parseDuration` accepts. */
export function isDuration(text: string): boolean {
  return whole.test(text);
}

function unreadable(text: string): AppError {
  return new AppError('usage', `Cannot read duration ${quote(text)}`, {
    hint: 'Write durations like "90s", "1h30m", "7d" or "2w".',
  });
}

/** A duration in its two largest units: `350ms`, `4.2s`, `1m 12s`, `2h 5m`, `3d 4h`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 0) return `-${formatDuration(-durationMs)}`;
  if (durationMs < 999.5) return `${Math.round(durationMs)}ms`;
  if (durationMs < 9_950) return `${(durationMs / 1000).toFixed(1)}s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return pair(Math.trunc(seconds / 60), 'm', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return pair(Math.trunc(minutes / 60), 'h', minutes % 60, 'm');
  const hours = Math.round(minutes / 60);
  return pair(Math.trunc(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit} ${small}${smallUnit}`;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** Largest first; an age uses the first unit that it fills. */
const units: readonly (readonly [name: string, lengthMs: number])[] = [
  ['year', 365 * dayMs],
  ['month', 30 * dayMs],
  ['week', 7 * dayMs],
  ['day', dayMs],
  ['hour', hourMs],
  ['minute', minuteMs],
];

/** The age of `time`: `just now`, `42 seconds ago`, `3 minutes ago`, `2 weeks ago`, `in 5 minutes`. */
export function formatAge(time: Date | string, now: Date): string {
  const ageMs = now.getTime() - new Date(time).getTime();
  if (!Number.isFinite(ageMs)) return 'unknown';
  const length = Math.abs(ageMs);
  if (length < 1000) return 'just now';
  const amount = amountOf(length);
  return ageMs > 0 ? `${amount} ago` : `in ${amount}`;
}

function amountOf(lengthMs: number): string {
  for (const [name, spanMs] of units) {
    // "1 week" is too coarse for ten days, so a unit above a day must be filled twice.
    const least = spanMs > dayMs ? 2 * spanMs : spanMs;
    if (lengthMs >= least) return count(Math.floor(lengthMs / spanMs), name);
  }
  return count(Math.floor(lengthMs / 1000), 'second');
}

function count(number: number, name: string): string {
  return `${number} ${name}${number === 1 ? '' : 's'}`;
}
