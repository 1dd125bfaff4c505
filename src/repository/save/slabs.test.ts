import { expect, test } from 'vitest';
import { Slabs } from './slabs.ts';

const mebibyte = 1024 * 1024;

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => setTimeout(() => resolve('later'), 20));
  return (await Promise.race([promise, later])) === 'later';
}

test('a slab has the length that is asked for, in memory that threads share, and is used again', async () => {
  const slabs = new Slabs(32 * mebibyte);
  const first = await slabs.take(100);
  expect(first.bytes.length).toBe(100);
  expect(first.bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
  const { buffer } = first.bytes;
  first.release();
  const second = await slabs.take(1_000_000);
  expect(second.bytes.buffer).toBe(buffer);
  expect((await slabs.take(5)).bytes.buffer).not.toBe(buffer);
});

test('a request for more than is free waits until enough is returned', async () => {
  const slabs = new Slabs(8 * mebibyte);
  const lent = [await slabs.take(4 * mebibyte), await slabs.take(4 * mebibyte)];
  const waiting = slabs.take(4 * mebibyte);
  expect(await isPending(waiting)).toBe(true);
  lent[0]?.release();
  expect((await waiting).bytes.length).toBe(4 * mebibyte);
});

test('a slab larger than the limit is lent alone, and every request is served', async () => {
  const slabs = new Slabs(8 * mebibyte);
  const small = await slabs.take(10);
  const large = slabs.take(20 * mebibyte);
  expect(await isPending(large)).toBe(true);
  small.release();
  const { bytes, release } = await large;
  expect(bytes.length).toBe(20 * mebibyte);
  const after = slabs.take(10);
  expect(await isPending(after)).toBe(true);
  release();
  expect((await after).bytes.length).toBe(10);
});
