import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fullAt, growthPerDay, hasNewHour, planHistory, type Sample, spans } from './history.ts';

const place = { kind: 'volume', name: 'pg' } as const;
const noon = Date.parse('2026-03-01T12:00:00Z');
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

describe('the history', () => {
  test('the first measurement begins its minute, its hour and its day', () => {
    const at = noon + 90_500;
    expect(planHistory(place, { bytes: 7, atMs: at }, undefined).samples).toEqual(
      [60, 3600, 86_400].map((spanSeconds) => ({
        ...{ ...place, spanSeconds, bytes: 7, atSeconds: Math.floor(at / 1000) },
        bucketSeconds: Math.floor(at / 1000 / spanSeconds) * spanSeconds,
      })),
    );
  });

  test('a size that has not changed is written once an hour', () => {
    const before = { bytes: 7, measuredAtMs: noon };
    const at = (ms: number): number[] =>
      planHistory(place, { bytes: 7, atMs: ms }, before).samples.map(({ spanSeconds }) => spanSeconds);
    expect(at(noon + hourMs - 1)).toEqual([]);
    expect(at(noon + hourMs)).toEqual([3600, 86_400]);
    expect(at(noon - 1)).toEqual([3600, 86_400]);
  });

  test('old rows are counted once an hour, and never judged by their age', () => {
    const before = { bytes: 7, measuredAtMs: noon };
    expect(planHistory(place, { bytes: 8, atMs: noon + 1 }, before).kept).toEqual([]);
    expect(planHistory(place, { bytes: 8, atMs: noon + hourMs }, before).kept).toEqual(
      Object.values(spans).map(({ seconds, rows }) => ({
        ...{ ...place, spanSeconds: seconds, atSeconds: (noon + hourMs) / 1000, rows },
      })),
    );
  });

  test('whatever the clock does, each span ends with the size that was written last in it', () => {
    const step = fc.record({
      byMs: fc.oneof(
        fc.integer({ min: 0, max: 10 * minuteMs }),
        fc.integer({ min: -3 * dayMs, max: 400 * dayMs }),
      ),
      bytes: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const rows = new Map<string, number>();
        const wanted = new Map<string, number>();
        let before: { readonly bytes: number; readonly measuredAtMs: number } | undefined;
        let atMs = noon;
        for (const { byMs, bytes } of steps) {
          atMs += byMs;
          const { samples } = planHistory(place, { bytes, atMs }, before);
          for (const one of samples) rows.set(`${one.spanSeconds} ${one.bucketSeconds}`, one.bytes);
          if (samples.length > 0) before = { bytes, measuredAtMs: atMs };
          for (const { seconds } of [spans.hour, spans.day])
            wanted.set(`${seconds} ${Math.floor(atMs / 1000 / seconds) * seconds}`, bytes);
        }
        for (const [key, bytes] of wanted) expect(rows.get(key), key).toBe(bytes);
      }),
    );
  });

  test('a clock that goes back into the same hour of another day begins an hour', () => {
    expect(hasNewHour(noon - dayMs, noon)).toBe(true);
    expect(hasNewHour(noon + 1, noon)).toBe(false);
    expect(hasNewHour(noon, undefined)).toBe(true);
  });
});

describe('the growth', () => {
  const days = (bytes: readonly number[]): Sample[] =>
    bytes.map((size, index) => ({
      bytes: size,
      atSeconds: (noon - (bytes.length - 1 - index) * dayMs) / 1000,
    }));
  const growth = (of: readonly Sample[], hours: readonly Sample[] = []): number | undefined =>
    growthPerDay({ days: of, hours }, noon);

  test('a steady growth is told exactly, and so is a volume that shrinks', () => {
    expect(growth(days(Array.from({ length: 20 }, (_, day) => 1000 + day * 50)))).toBe(50);
    expect(growth(days(Array.from({ length: 20 }, (_, day) => 1000 - day * 50)))).toBe(-50);
    expect(growth(days(Array.from({ length: 20 }, () => 1000)))).toBe(0);
  });

  test('one import, one clean-up and logs that rotate are no growth', () => {
    expect(growth(days(Array.from({ length: 30 }, (_, day) => (day < 20 ? 5 : 1e12))))).toBe(0);
    expect(growth(days(Array.from({ length: 30 }, (_, day) => (day < 25 ? 1e12 : 5))))).toBe(0);
    const rotated = growth(days(Array.from({ length: 28 }, (_, day) => (day % 7) * 100)));
    expect(Math.abs(rotated ?? Number.NaN)).toBeLessThan(20);
  });

  test('below a day or six points there is no basis', () => {
    expect(growth([])).toBeUndefined();
    expect(growth(days([1, 2, 3, 4, 5]))).toBeUndefined();
    const hours = Array.from({ length: 24 }, (_, hour) => ({
      bytes: hour,
      atSeconds: noon / 1000 - hour * 3600,
    }));
    expect(growth([], hours)).toBeUndefined();
    expect(growth([], [...hours, { bytes: 24, atSeconds: noon / 1000 - 86_400 }])).toBe(-24);
  });

  test('gaps do not count as growth at once: time counts, not the number of points', () => {
    const sparse = [0, 1, 2, 20, 21, 22].map((day) => ({
      bytes: day * 50,
      atSeconds: noon / 1000 - (22 - day) * 86_400,
    }));
    expect(growth(sparse)).toBe(50);
  });

  test('points of a clock that was ahead, or in 1970, are left out', () => {
    const steady = days(Array.from({ length: 20 }, (_, day) => 1000 + day * 50));
    const wrong = [
      { bytes: 9e15, atSeconds: 4e9 },
      { bytes: 0, atSeconds: 60 },
    ];
    expect(growth([...wrong, ...steady])).toBe(50);
  });

  test('several points of one second give no endless growth', () => {
    const steady = days(Array.from({ length: 20 }, (_, day) => 1000 + day * 50));
    expect(growth([...steady, ...steady.map(({ atSeconds }) => ({ atSeconds, bytes: 0 }))])).not.toBeNaN();
  });

  test('many points are thinned out without a change of the slope', () => {
    const hours = Array.from({ length: 160 }, (_, hour) => ({
      bytes: 1_000_000 - hour * 10,
      atSeconds: noon / 1000 - hour * 3600,
    }));
    expect(growth([], hours)).toBe(240);
  });
});

test('a disk is full when its room is used up, and not when it does not grow or only in ten years', () => {
  expect(fullAt(100, 50, noon)).toEqual(new Date(noon + 2 * dayMs));
  expect(fullAt(0, 50, noon)).toEqual(new Date(noon));
  for (const [free, growth] of [
    [100, 0],
    [100, -5],
    [100, undefined],
    [undefined, 5],
    [1e9, 1],
  ] as const)
    expect(fullAt(free, growth, noon)).toBeUndefined();
});
