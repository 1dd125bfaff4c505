import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { watchSilence } from './silence.ts';

/** As a process is stopped, or its machine. */
function stopFor(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('what is heard after a stop of the process that is longer than its patience is not silence', async () => {
  let isSilent = false;
  const watch = watchSilence(2000, () => (isSilent = true));
  stopFor(2500);
  await sleep(50);
  watch.start();
  await sleep(50);
  watch.stop();
  expect(isSilent).toBe(false);
});

test('silence is told once, and not where something was heard in time or the watch has ended', async () => {
  const told: string[] = [];
  const silent = watchSilence(100, () => told.push('silent'));
  const ended = watchSilence(100, () => told.push('ended'));
  ended.stop();
  const spoken = watchSilence(60_000, () => told.push('spoken'));
  await expect.poll(() => told).toEqual(['silent']);
  await sleep(150);
  expect(told).toEqual(['silent']);
  silent.start();
  await expect.poll(() => told).toEqual(['silent', 'silent']);
  spoken.stop();
});
