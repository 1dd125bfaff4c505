import { expect, test } from 'vitest';
import { once, onceIn } from './once.ts';

test('`once()` opens once for all calls, and opens again only after a failed attempt', async () => {
  const attempts: PromiseWithResolvers<string>[] = [];
  const open = once(() => {
    attempts.push(Promise.withResolvers<string>());
    return attempts.at(-1)!.promise;
  });
  const [first, second] = [open(), open()];
  expect(attempts).toHaveLength(1);
  attempts[0]?.reject(new Error('not yet'));
  await expect(first).rejects.toThrow('not yet');
  await expect(second).rejects.toThrow('not yet');
  const third = open();
  attempts[1]?.resolve('there');
  expect(await third).toBe('there');
  expect(await open()).toBe('there');
  expect(attempts).toHaveLength(2);
});

test('`onceIn()` closes what a failed attempt opened, and keeps the rest until all is closed', async () => {
  const closed: number[] = [];
  const opened = new AsyncDisposableStack();
  let attempts = 0;
  const open = onceIn(opened, async (attempt) => {
    const number = ++attempts;
    attempt.defer(() => void closed.push(number));
    if (number === 1) throw new Error('not yet');
    return number;
  });
  await expect(open()).rejects.toThrow('not yet');
  expect(closed).toEqual([1]);
  expect(await open()).toBe(2);
  expect(await open()).toBe(2);
  expect(closed).toEqual([1]);
  await opened.disposeAsync();
  expect(closed).toEqual([1, 2]);
});
