import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { collectGarbage } from './collect-garbage.ts';

const arrayBytes = (): number => process.memoryUsage().arrayBuffers;

/** A separate function, so that no variable refers to the object afterwards. */
function takeMemory(): { readonly found: WeakRef<Uint8Array>; readonly taken: number } {
  const bytes = new Uint8Array(50_000_000).fill(1);
  return { found: new WeakRef(bytes), taken: arrayBytes() };
}

test('unreferenced memory is freed, each time', async () => {
  for (let round = 0; round < 2; round++) {
    const { found, taken } = takeMemory();
    // A WeakRef keeps its target until the end of the turn that created it.
    await nextTurn();
    collectGarbage();
    expect(found.deref()).toBeUndefined();
    // V8 frees the bytes in another thread, which may have to wait for a processor.
    await expect.poll(arrayBytes).toBeLessThan(taken - 40_000_000);
  }
});

test('nothing else can ask for it by its name', () => {
  collectGarbage();
  expect('gc' in globalThis).toBe(false);
});
