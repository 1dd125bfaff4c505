import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';

const megabyte = 1024 * 1024;

test('a full disk is named, loses nothing that was saved, and is forgotten once there is room', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 8 * megabyte });
  const path = join(disk.path, 'catalog.db');
  const ballast = join(disk.path, 'ballast');
  writeFileSync(ballast, Buffer.alloc(2 * megabyte));
  let saved = 0;
  {
    using catalog = openSqliteCatalog(path);
    const fill = () => {
      for (; saved < 10_000; saved += 1) catalog.setVolumeIdentity('h', `v${saved}`, 'i'.repeat(4096));
    };
    expect(fill).toThrow(
      expect.objectContaining({
        code: 'full',
        message: `Cannot use the catalog "${path}": the disk that it is on is full`,
      }),
    );
    expect(saved).toBeGreaterThan(10);
    expect(catalog.volumeIdentity('h', `v${saved - 1}`)).toHaveLength(4096);
  }
  using again = openSqliteCatalog(path);
  for (let number = 0; number < saved; number += 1)
    expect(again.volumeIdentity('h', `v${number}`)).toHaveLength(4096);
  rmSync(ballast);
  again.setVolumeIdentity('h', 'after', 'i');
  expect(again.volumeIdentity('h', 'after')).toBe('i');
});

test('on a disk that is full to the last block a single process can still read it', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 8 * megabyte });
  const path = join(disk.path, 'catalog.db');
  {
    using catalog = openSqliteCatalog(path);
    catalog.setVolumeIdentity('h', 'pg', 'i');
  }
  fillUp(disk.path);
  expect(() => openSqliteCatalog(path)).toThrow(expect.objectContaining({ code: 'full' }));
  {
    using catalog = openSqliteCatalog(path, { mayBeAlone: true });
    expect(catalog.volumeIdentity('h', 'pg')).toBe('i');
    expect(() => catalog.setVolumeIdentity('h', 'other', 'i'.repeat(100_000))).toThrow(
      expect.objectContaining({ code: 'full' }),
    );
    expect(() => openSqliteCatalog(path, { busyTimeoutMs: 10 })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(full|locked)$/) as string }),
    );
  }
  rmSync(join(disk.path, 'ballast-0'));
  using catalog = openSqliteCatalog(path);
  using other = openSqliteCatalog(path);
  other.setVolumeIdentity('h', 'other', 'o');
  expect(catalog.volumeIdentity('h', 'other')).toBe('o');
});

/** Fills the disk to the last block. */
function fillUp(folder: string): void {
  const chunk = Buffer.alloc(megabyte);
  for (let size = chunk.length, number = 0; size > 0; number += 1) {
    try {
      writeFileSync(join(folder, `ballast-${number}`), chunk.subarray(0, size));
    } catch {
      size = Math.floor(size / 2);
    }
  }
}

test('a catalog can’t be made on a full disk, and the error says why', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 8 * megabyte });
  fillUp(disk.path);
  expect(() => openSqliteCatalog(join(disk.path, 'catalog.db'))).toThrow(
    expect.objectContaining({ code: 'full', message: expect.stringContaining('full') }),
  );
});

test('on a read-only file system the error says why', async () => {
  await using disk = mountLoopFilesystem('ext4', { sizeBytes: 8 * megabyte });
  const path = join(disk.path, 'catalog.db');
  {
    using catalog = openSqliteCatalog(path);
    catalog.setVolumeIdentity('h', 'pg', 'i');
  }
  disk.remount('ro');
  expect(() => openSqliteCatalog(path)).toThrow(
    expect.objectContaining({
      code: 'read-only',
      message: `Cannot use the catalog "${path}": its file system is read-only`,
    }),
  );
  expect(() => openSqliteCatalog(join(disk.path, 'new', 'catalog.db'))).toThrow(
    expect.objectContaining({
      code: 'read-only',
      message: expect.stringContaining('file system is read-only'),
    }),
  );
});
