import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SettleLater } from './settle-later.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('requested work is done once for all requests, after a while', async () => {
  const work = vi.fn(async () => undefined);
  await using later = new SettleLater(work);
  later.ask();
  later.ask();
  await vi.advanceTimersByTimeAsync(29_000);
  expect(work).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1000);
  expect(work).toHaveBeenCalledTimes(1);
});

test('many requests at once run the work one at a time', async () => {
  let [running, most] = [0, 0];
  const later = new SettleLater(async () => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running -= 1;
  });
  for (let count = 0; count < 30_000; count += 1) later.ask();
  await later[Symbol.asyncDispose]();
  expect(most).toBe(1);
});

test('at the end, only what this program has made is waited for', async () => {
  const work = vi.fn(async () => undefined);
  const looking = new SettleLater(work);
  looking.expect();
  await looking[Symbol.asyncDispose]();
  expect(work).not.toHaveBeenCalled();
  const making = new SettleLater(work);
  making.ask();
  await making[Symbol.asyncDispose]();
  expect(work).toHaveBeenCalledTimes(1);
});
