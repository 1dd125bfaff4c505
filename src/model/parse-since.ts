import { parseTime } from './parse-time.ts';

/**
 * The instant from which on something is meant, in the words of `parseTime`: a day means its beginning here, and so do a
 * minute and a second. `now` is now, and `3h` is three hours ago.
 */
export function parseSince(text: string, now: Date): Date {
  const time = parseTime(text, now);
  if (text === 'now') return time;
  if (/^(?:[a-z]+|\d{4}-\d\d-\d\d)$/i.test(text))
    return new Date(time.getFullYear(), time.getMonth(), time.getDate());
  if (!/\d\d:\d\d/.test(text)) return time;
  const start = new Date(time);
  if (/(?:^|[T -])\d\d:\d\d(?:Z|[+-]\d\d:?\d\d|\[.*\])?$/i.test(text)) start.setUTCSeconds(0, 0);
  else if (!/\.\d/.test(text)) start.setUTCMilliseconds(0);
  return start;
}
