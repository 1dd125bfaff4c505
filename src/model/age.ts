const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** Largest first; an age is told in the first unit that it fills. */
const units: readonly (readonly [name: string, lengthMs: number])[] = [
  ['year', 365 * dayMs],
  ['month', 30 * dayMs],
  ['week', 7 * dayMs],
  ['day', dayMs],
  ['hour', hourMs],
  ['minute', minuteMs],
];

/** How long ago `time` was, for people: `just now`, `42 seconds ago`, `3 minutes ago`, `2 weeks ago`, `in 5 minutes`. */
export function formatAge(time: Date | string, now: Date): string {
  const ageMs = now.getTime() - new Date(time).getTime();
  if (!Number.isFinite(ageMs)) return 'unknown';
  const length = Math.abs(ageMs);
  if (length < 1000) return 'just now';
  const amount = amountOf(length);
  return ageMs > 0 ? `${amount} ago` : `in ${amount}`;
}

function amountOf(lengthMs: number): string {
  for (const [name, unitMs] of units) {
    // "1 week" is too coarse for ten days, so a unit above a day must be filled twice.
    const least = unitMs > dayMs ? 2 * unitMs : unitMs;
    if (lengthMs >= least) return count(Math.floor(lengthMs / unitMs), name);
  }
  return count(Math.floor(lengthMs / 1000), 'second');
}

function count(number: number, name: string): string {
  return `${number} ${name}${number === 1 ? '' : 's'}`;
}
