import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mapFile } from '../../../test/support/memory-map.ts';
import { openFreshRepository, testVolume } from '../../../test/fixtures/open-repository.ts';
import type { Repository, SaveResult } from '../types.ts';

async function save(repository: Repository, root: string): Promise<SaveResult> {
  return await repository.save({
    source: { kind: 'directory', root },
    volume: testVolume,
    parent: (await repository.listSnapshots()).at(-1),
    tags: [],
    hostname: 'host',
    timeMs: Date.now(),
    grade: 'torn',
    excludePatterns: [],
  });
}

test('a write through a memory map is saved, although the page was dirty and no time changes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mapped-'));
  await using opened = await openFreshRepository();
  const { repository } = opened;
  const root = join(folder, 'source');
  mkdirSync(root);
  const path = join(root, 'data.mdb');
  writeFileSync(path, Buffer.alloc(4096));
  using map = mapFile(path, 4096);
  const { bytes } = map;
  try {
    bytes[0] = 1;
    // Longer than the time within which a file is not trusted anyway.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await save(repository, root);
    const before = statSync(path, { bigint: true }).mtimeNs;
    bytes[0] = 2;
    const second = await save(repository, root);
    expect(second.summary.filesUnmodified).toBe(0);
    expect(statSync(path, { bigint: true }).mtimeNs).not.toBe(before);
    const third = await save(repository, root);
    expect(third.summary.filesChanged + third.summary.filesUnmodified).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
