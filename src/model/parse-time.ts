import { isDuration, parseDuration } from './duration.ts';
import { AppError } from './errors.ts';
import { quote } from './quote.ts';

const dateAndTime =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/i;

/**
 * The instant that `text` names, as `@TIME` takes it: `now`, `today`, `yesterday`, `2026-01-31`, `2026-01-31T12:00`,
 * `2026-01-31 12:00:30Z`, or how long ago (`3h`). Times without a zone are local.
 *
 * A time that names a day, a minute or a second means the end of it: `pg@2026-01-31` is the volume as that day left it,
 * and the time of a snapshot as a listing shows it finds that snapshot.
 */
export function parseTime(text: string, now: Date): Date {
  const time = relativeTime(text, now) ?? absoluteTime(text);
  if (time === undefined) {
    throw new AppError('usage', `Cannot read time ${quote(text)}`, {
      hint: 'Write times like "yesterday", "3h" (three hours ago), "2026-01-31" or "2026-01-31T12:00".',
    });
  }
  return time;
}

/** True for what `parseTime` reads. */
export function isTime(text: string): boolean {
  return relativeTime(text, new Date(0)) !== undefined || absoluteTime(text) !== undefined;
}

function relativeTime(text: string, now: Date): Date | undefined {
  if (text === 'now') return new Date(now);
  if (text === 'today') return endOfDay(now, 0);
  if (text === 'yesterday') return endOfDay(now, -1);
  if (!isDuration(text)) return undefined;
  const time = new Date(now.getTime() - parseDuration(text));
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function endOfDay(now: Date, days: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, 23, 59, 59, 999);
}

function absoluteTime(text: string): Date | undefined {
  const match = dateAndTime.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const clock = `${hour ?? '23'}:${minute ?? '59'}:${second ?? '59'}${milliseconds(fraction)}`;
  // Date accepts the 31st of a month that has 30 days and gives the next month's 1st: a typo would restore another day.
  if (Number(day) < 1 || Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate())
    return undefined;
  if (Number(hour ?? 0) > 23) return undefined;
  const time = new Date(`${year}-${month}-${day}T${clock}${zoneOf(zone)}`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function milliseconds(fraction: string | undefined): string {
  return fraction === undefined ? '.999' : `${fraction}00`.slice(0, 4);
}

function zoneOf(zone: string | undefined): string {
  if (zone === undefined) return '';
  return zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase();
}
