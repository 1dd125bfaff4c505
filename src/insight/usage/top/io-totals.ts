import { type TopReport, type TopSample, type TopVolume, planTop } from './plan-top.ts';

/** What was read and written since the counting began. */
export interface IoTotal {
  /** Undefined for the sum of all anonymous volumes, which come and go with their containers. */
  readonly volume: string | undefined;
  readonly how: NonNullable<TopVolume['how']>;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Operations; undefined where only bytes are known. */
  readonly reads: number | undefined;
  readonly writes: number | undefined;
}

/** Adds up what volumes read and write between looks at the counters. Keeps nothing of volumes that are gone. */
export class IoTotals {
  #before: TopSample | undefined;
  #totals: readonly IoTotal[] = [];

  look(sample: TopSample): void {
    if (this.#before !== undefined) this.#totals = addIo(this.#totals, planTop(this.#before, sample));
    this.#before = sample;
  }

  list(): readonly IoTotal[] {
    return this.#totals;
  }
}

/** Pure. */
export function addIo(before: readonly IoTotal[], { volumes, seconds }: TopReport): IoTotal[] {
  const named = new Set(volumes.flatMap(({ name, anonymous }) => (anonymous ? [] : [name])));
  const totals = new Map(
    before
      .filter(({ volume }) => volume === undefined || named.has(volume))
      .map((total) => [keyOf(total), total]),
  );
  for (const { name, anonymous, rates, how } of volumes) {
    if (rates === undefined || how === undefined) continue;
    const place = { volume: anonymous ? undefined : name, how };
    const key = keyOf(place);
    const last = totals.get(key);
    const added = (rate: number, total: number | undefined): number =>
      Math.round(rate * seconds) + (total ?? 0);
    totals.set(key, {
      ...place,
      readBytes: added(rates.readBytes, last?.readBytes),
      writtenBytes: added(rates.writtenBytes, last?.writtenBytes),
      reads: rates.reads === undefined ? last?.reads : added(rates.reads, last?.reads),
      writes: rates.writes === undefined ? last?.writes : added(rates.writes, last?.writes),
    });
  }
  return [...totals.values()];
}

function keyOf({ volume, how }: Pick<IoTotal, 'volume' | 'how'>): string {
  return JSON.stringify([volume ?? null, how]);
}
