import { expect, test } from 'vitest';
import { Room } from './room.ts';

test('a room gives exactly as much as is asked for, in the same memory while that is enough', () => {
  const room = new Room();
  const first = room.take(100);
  expect(first.length).toBe(100);
  const second = room.take(50);
  expect(second.length).toBe(50);
  expect(second.buffer).toBe(first.buffer);
  expect(room.take(0).length).toBe(0);
});

test('a room that grows does so by doubling, so that growth is rare', () => {
  const room = new Room();
  let buffers = 0;
  let last: ArrayBufferLike | undefined;
  for (let length = 1000; length < 100_000; length += 500) {
    const { buffer } = room.take(length);
    if (buffer !== last) buffers++;
    last = buffer;
  }
  expect(buffers).toBeLessThan(9);
});
