import { expect, test } from 'vitest';
import { seedUntilShort } from './seed.ts';

/** How long each pass takes; what is done afterwards takes its turn. */
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

test('the data is gone through until a pass is short, but for the first, and once more after what takes its time', async () => {
  expect(await seed(100, 50, 1)).toEqual({ passes: 3, order: 'ppap' });
  expect(await seed(100_000, 20_000, 5000, 1000, 1)).toEqual({ passes: 5, order: 'ppppap' });
});

test('what does not become less is not gone through for ever', async () => {
  expect(await seed(100_000, 20_000, 15_000, 1)).toEqual({ passes: 4, order: 'pppap' });
});
