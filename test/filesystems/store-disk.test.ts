import { execFileSync } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openLocalStore } from '../../src/repository/stores/local.ts';
import type { FileType, Store } from '../../src/repository/stores/store.ts';

let mountPoint: string;
let store: Store;

beforeEach(() => {
  mountPoint = mkdtempSync(join(tmpdir(), 'disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mountPoint]);
  store = openLocalStore(join(mountPoint, 'repository'));
  return () => {
    execFileSync('umount', [mountPoint]);
    rmSync(mountPoint, { recursive: true });
  };
});

async function make(): Promise<void> {
  await store.create();
  await store.save('config', '', Buffer.from('config'));
}

async function save(type: FileType, length: number): Promise<string> {
  const content = randomBytes(length);
  const name = hash('sha256', content);
  await store.save(type, name, content);
  return name;
}

function files(): string[] {
  return readdirSync(mountPoint, { recursive: true, withFileTypes: true, encoding: 'utf8' })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

describe('a local store', () => {
  test('on a full disk reports it, keeps its files, and leaves no partial one', async () => {
    await make();
    const kept = await save('data', 500_000);
    await expect(save('data', 3_000_000)).rejects.toMatchObject({
      code: 'full',
      hint: expect.stringContaining('Free space'),
    });
    expect(files().toSorted()).toEqual([kept, 'config'].toSorted());
    expect(await store.list('data')).toMatchObject([{ name: kept, sizeBytes: 500_000 }]);
    await expect(save('data', 500_000)).resolves.toBeDefined();
  });

  test('on a full disk cannot be created, and an error says so', async () => {
    execFileSync('mount', ['-o', 'remount,nr_inodes=20', mountPoint]);
    await expect(store.create()).rejects.toMatchObject({ code: 'full' });
    expect(await store.exists('config', '')).toBe(false);
  });

  test('on a read-only disk refuses to write, and can be read', async () => {
    await make();
    const name = await save('snapshots', 1000);
    execFileSync('mount', ['-o', 'remount,ro', mountPoint]);
    await expect(save('snapshots', 1000)).rejects.toMatchObject({ code: 'read-only' });
    await expect(store.remove('snapshots', name)).rejects.toMatchObject({ code: 'read-only' });
    expect(await store.load('snapshots', name)).toHaveLength(1000);
    expect(await store.list('snapshots')).toMatchObject([{ name, sizeBytes: 1000 }]);
  });

  test('on an unmounted disk is missing, and is not recreated on the one below', async () => {
    await make();
    await save('snapshots', 1000);
    execFileSync('umount', [mountPoint]);
    try {
      await expect(store.list('snapshots')).rejects.toMatchObject({ code: 'not-found' });
      await expect(save('data', 1000)).rejects.toMatchObject({ code: 'not-found' });
      expect(readdirSync(mountPoint)).toEqual([]);
    } finally {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mountPoint]);
    }
  });
});
