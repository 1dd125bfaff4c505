/** A time as a clock on the wall shows it. */
export interface WallTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly ms: number;
}

/** True for a time zone by its name, such as `Europe/Berlin` or `UTC`. */
export function isZone(name: string): boolean {
  try {
    return offsetAt(0, name) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The instant at which a clock in that zone shows that time, in milliseconds since 1970. An hour that comes twice, when
 * clocks are set back, means the second; an hour that never comes means what the clock shows instead.
 */
export function zonedInstant(wall: WallTime, zone: string): number {
  const { year, month, day, hour, minute, second, ms } = wall;
  const asUtc = Date.UTC(year, month - 1, day, hour, minute, second, ms);
  // Clocks are set no two times in two days.
  const offsets = [asUtc - 86_400_000, asUtc + 86_400_000].map((at) => offsetAt(at, zone));
  const instants = offsets.map((offset) => asUtc - offset);
  const shown = instants.filter((instant, index) => offsetAt(instant, zone) === offsets[index]);
  return shown.length > 0 ? Math.max(...shown) : Math.max(...instants);
}

/** What clocks in that zone are ahead of UTC, in milliseconds. */
function offsetAt(instant: number, zone: string): number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, value]));
  const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
  const shown = Date.UTC(
    number('year'),
    number('month') - 1,
    number('day'),
    number('hour'),
    number('minute'),
    number('second'),
  );
  return shown - Math.floor(instant / 1000) * 1000;
}
