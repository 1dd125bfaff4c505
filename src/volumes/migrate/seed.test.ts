import { expect, test } from 'vitest';
import { seedUntilShort } from './seed.ts';

/** How long each pass takes; work done afterwards takes its turn. */
async function seed(...durations: number[]): Promise<{ passes: number; order: string }> {
  const left = [...durations];
  let order = '';
  const pass = async () => {
    order += 'p';
    return { bytes: 0, files: 0, durationMs: left.shift() ?? Number.NaN };
  };
  const afterwards = async (): Promise<void> => void (order += 'a');
  return { passes: await seedUntilShort({ pass }, { afterwards }), order };
}

test('the data is copied in passes until one but the first is short, and once more after slow work', async () => {
  expect(await seed(100, 50, 1)).toEqual({ passes: 3, order: 'ppap' });
  expect(await seed(100_000, 20_000, 5000, 1000, 1)).toEqual({ passes: 5, order: 'ppppap' });
});

test('passes that do not get shorter are not repeated forever', async () => {
  expect(await seed(100_000, 20_000, 15_000, 1)).toEqual({ passes: 4, order: 'pppap' });
});
