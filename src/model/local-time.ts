import { fromText, toPrintable } from './byte-string.ts';

/**
 * A time for people, RFC 3339 to the second: what a clock here shows, with what it is ahead of UTC, so that it means the
 * same elsewhere and later. `@TIME` reads it.
 */
export function localTime(time: string | number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return toPrintable(fromText(String(time)));
  const aheadMinutes = -date.getTimezoneOffset();
  const shown = new Date(date.getTime() + aheadMinutes * 60_000).toISOString().slice(0, -'.000Z'.length);
  return shown + formatOffset(aheadMinutes);
}

function formatOffset(aheadMinutes: number): string {
  if (aheadMinutes === 0) return 'Z';
  const length = Math.abs(aheadMinutes);
  return `${aheadMinutes < 0 ? '-' : '+'}${two(Math.floor(length / 60))}:${two(length % 60)}`;
}

function two(part: number): string {
  return String(part).padStart(2, '0');
}
