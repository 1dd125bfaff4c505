import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { expect, test } from 'vitest';
import { openFreshRepository, testVolume } from '../open-repository.fixture.ts';
import type { Repository, SaveResult } from '../types.ts';

const libc = koffi.load(null);
const mmap = libc.func(
  'void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const munmap = libc.func('int munmap(void *at, size_t length)');
const readAndWrite = 3;
const shared = 1;

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

test('what a program writes through a memory map is saved, though the page was dirty and no time changes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mapped-'));
  await using opened = await openFreshRepository();
  const { repository } = opened;
  const root = join(folder, 'source');
  mkdirSync(root);
  const path = join(root, 'data.mdb');
  writeFileSync(path, Buffer.alloc(4096));
  const fd = openSync(path, 'r+');
  const map: unknown = mmap(null, 4096, readAndWrite, shared, fd, 0);
  const bytes = new Uint8Array(koffi.view(map, 4096));
  try {
    bytes[0] = 1;
    // Longer than the time in which a file is not trusted anyway.
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
    munmap(map, 4096);
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});
