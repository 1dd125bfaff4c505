const billion = 1_000_000_000n;
const firstYearNs = -62_135_596_800n * billion;
const lastYearNs = 253_402_300_799n * billion + 999_999_999n;

let cachedSecond = Number.NaN;
let cachedText = '';

/** RFC 3339 in UTC with as many digits as needed, as Go writes it. Years outside 1 to 9999 are clamped. */
export function formatTime(ns: bigint): string {
  const bounded = ns < firstYearNs ? firstYearNs : ns > lastYearNs ? lastYearNs : ns;
  const rest = ((bounded % billion) + billion) % billion;
  const second = Number((bounded - rest) / billion);
  if (second !== cachedSecond) {
    cachedText = new Date(second * 1000).toISOString().slice(0, 19);
    cachedSecond = second;
  }
  if (rest === 0n) return `${cachedText}Z`;
  return `${cachedText}.${rest.toString().padStart(9, '0').replace(/0+$/, '')}Z`;
}

const pattern = /^(\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/;

/** Nanoseconds since 1970; undefined when the text is not an RFC 3339 time. */
export function parseTime(text: string): bigint | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  const at = new Date(0);
  at.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  at.setUTCHours(Number(hour), Number(minute), Number(second));
  const ms = at.getTime() - offsetMs(zone);
  if (Number.isNaN(ms)) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

function offsetMs(zone: string): number {
  if (zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

const strict = /^\d{4}-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](\d\d):(\d\d))$/;

/** True for a time that restic can read: strict RFC 3339, an existing day, and a year of four digits. */
export function isStrictTime(text: string): boolean {
  const match = strict.exec(text);
  if (!match) return false;
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0, zoneHour = 0, zoneMinute = 0] = match
    .slice(1)
    .map((digits: string | undefined) => Number(digits ?? 0));
  const date = new Date(0);
  date.setUTCFullYear(Number(text.slice(0, 4)), month - 1, day);
  const isDay = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return isDay && hour < 24 && minute < 60 && second < 60 && zoneHour < 24 && zoneMinute < 60;
}
