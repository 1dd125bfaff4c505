import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { fromText } from '../../../model/byte-string.ts';
import { refuseWithoutRoom } from './room-for-copy.ts';

async function ask(roots: Readonly<Record<string, string>>): Promise<void> {
  const host = {
    openData: async (name: string) => ({
      way: 'direct' as const,
      root: fromText(roots[name] ?? ''),
      async [Symbol.asyncDispose]() {},
    }),
  };
  await refuseWithoutRoom(host, { from: 'anonymous', to: 'named' }, undefined);
}

test('a volume on a disk that has no room for the data is refused, and one that has is not', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'room-'));
  try {
    await writeFile(path.join(folder, 'data'), Buffer.alloc(10_000, 1));
    await ask({ anonymous: folder, named: folder });
    // It has blocks for nothing.
    await expect(ask({ anonymous: folder, named: '/sys' })).rejects.toMatchObject({
      code: 'full',
      message: expect.stringMatching(
        /^Cannot move "anonymous": it holds [\d.]+ kB, .* room for 0 B$/,
      ) as string,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
