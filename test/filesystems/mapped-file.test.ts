import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { mapFile } from '../support/memory-map.ts';
import { openFreshRepository, testVolume } from '../fixtures/open-repository.ts';

test('writes through a memory map are saved on file systems mounted below the root too', async () => {
  await using disk = mountLoopFilesystem('ext4');
  await using opened = await openFreshRepository();
  const path = join(disk.path, 'data.mdb');
  writeFileSync(path, Buffer.alloc(4096));
  using map = mapFile(path, 4096);
  const save = async (): Promise<number> => {
    const parent = (await opened.repository.listSnapshots()).at(-1);
    const more = { parent, volume: testVolume, isExcluded: (below: string) => below.endsWith('.img') };
    return (await opened.save(dirname(disk.path), more)).summary.bytesAdded;
  };
  map.bytes[0] = 1;
  // Longer than the time within which a file is not trusted anyway.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await save();
  map.bytes[0] = 2;
  // The file's new content, and the trees above it.
  expect(await save()).toBeGreaterThan(4096);
});
