import { expect, test } from 'vitest';
import { MadeDirectories } from './made-directories.ts';
import type { Metadata } from './restore-task.ts';

test('directories come back with their metadata, deepest first', () => {
  const plain = { mode: 0o755, uid: 0, gid: 0, mtimeNs: -1n, xattrs: [] };
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const rich = {
    ...{ mode: 0o7777, uid: 4_294_967_294, gid: 1, mtimeNs: 1_700_000_000_123_456_789n },
    xattrs: [
      { name: 'user.\xff', value: every },
      { name: 'user.empty', value: Buffer.alloc(0) },
    ],
  };
  const made = new MadeDirectories();
  made.add('/target', undefined);
  made.add('/target/a', plain);
  made.add('/target/a/\n"\xe9', rich);
  expect(made.count).toBe(3);
  expect([...made.deepestFirst()]).toEqual([
    { path: '/target/a/\n"\xe9', metadata: rich },
    { path: '/target/a', metadata: plain },
  ]);
});

test('many directories, and one with large attributes, come back complete', () => {
  const made = new MadeDirectories();
  const value = Buffer.alloc(60_000, 0xff);
  const metadata = (index: number): Metadata => ({
    ...{ mode: 0o700, uid: index, gid: index, mtimeNs: BigInt(index) },
    xattrs: index === 3_000 ? [{ name: 'user.large', value }] : [],
  });
  for (let index = 0; index < 5_000; index += 1) made.add(`/target/${index}`, metadata(index));
  expect(made.count).toBe(5_000);
  const back = [...made.deepestFirst()].toReversed();
  expect(back).toEqual(back.map((_, index) => ({ path: `/target/${index}`, metadata: metadata(index) })));
  expect(back).toHaveLength(5_000);
});
