import { expect, test } from 'vitest';
import { collectGarbage } from './collect-garbage.ts';

test('what nobody holds on to is gone afterwards, each time', () => {
  for (let round = 0; round < 2; round++) {
    let bytes: Uint8Array | undefined = new Uint8Array(50_000_000).fill(1);
    const before = process.memoryUsage().arrayBuffers;
    expect(bytes.at(-1)).toBe(1);
    bytes = undefined;
    collectGarbage();
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(before - 40_000_000);
  }
});

test('nothing else can ask for it by its name', () => {
  collectGarbage();
  expect('gc' in globalThis).toBe(false);
});
