import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { untilShort } from './until-short.ts';

/** How often a work of these durations is done, in milliseconds. */
async function timesOf(...durations: number[]): Promise<number> {
  let times = 0;
  await untilShort(() => sleep(durations[times++]), { shortMs: 40, most: 3 });
  return times;
}

test('a work is done until it is short, and not for ever', async () => {
  expect(await timesOf(0)).toBe(1);
  expect(await timesOf(60, 0)).toBe(2);
  expect(await timesOf(60, 60, 60, 60)).toBe(3);
});
