import { expect, test } from 'vitest';
import { seedUntilShort } from './seed.ts';

const passes = async (...durations: number[]): Promise<number> => {
  const left = [...durations];
  return await seedUntilShort({
    pass: async () => ({ bytes: 0, files: 0, durationMs: left.shift() ?? Number.NaN }),
  });
};

test('the data is gone through until a pass is short, but for the first', async () => {
  expect(await passes(100, 50)).toBe(2);
  expect(await passes(100_000, 20_000, 5000, 1000)).toBe(4);
});

test('what does not become less is not gone through for ever', async () => {
  expect(await passes(100_000, 20_000, 15_000)).toBe(3);
});
