import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { growByAsynchronousIo } from '../fixtures/asynchronous-io.ts';
import { appendOld, RandomTree, walkedBytes, writeOld } from '../fixtures/random-tree.ts';
import { WatchedSizes } from '../../src/volumes/usage/watched-sizes.ts';
import { seed } from '../faults/seeded.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';

describe.each(['btrfs', 'xfs', 'ext4'] as const)('sizes on %s', (type) => {
  test('each result equals a walk, and unwatched changes are queried', async () => {
    await using disk = mountLoopFilesystem(type);
    await using sizes = new WatchedSizes();
    const [root, outside] = [join(disk.path, 'volume'), join(disk.path, 'outside')];
    mkdirSync(join(root, 'calm'), { recursive: true });
    mkdirSync(outside);
    writeOld(join(root, 'calm/file'), 10);
    const tree = new RandomTree({ root, outside }, seed);
    for (let step = 0; step < 500; step++) {
      tree.change();
      expect(await sizes.measure([root]), `step ${step} of seed ${seed}`).toEqual([walkedBytes(root)]);
    }
    expect(sizes.watched).toBeGreaterThan(0);
    const database = join(root, 'database');
    writeOld(database, 100_000);
    const fd = openSync(database, 'r+');
    for (let turn = 0; turn < 3; turn++) {
      expect(await sizes.measure([root])).toEqual([walkedBytes(root)]);
      growByAsynchronousIo(fd, 8192);
    }
    expect(await sizes.measure([root])).toEqual([walkedBytes(root)]);
    closeSync(fd);
  });

  test('another file system in the same place is another volume', async () => {
    await using disk = mountLoopFilesystem(type);
    await using sizes = new WatchedSizes();
    writeOld(join(disk.path, 'file'), 100);
    expect(await sizes.measure([disk.path])).toEqual([100]);
    appendOld(join(disk.path, 'file'), 1);
    expect(await sizes.measure([disk.path])).toEqual([101]);
    // Unmounted, with an older state of it mounted: all inode numbers are the same. XFS and btrfs refuse a
    // second file system of the same id while a process elsewhere has the first.
    if (type === 'ext4') disk.cutPower();
    const [older] = await sizes.measure([disk.path]);
    expect(older).toBe(walkedBytes(disk.path));
    rmSync(join(disk.path, 'file'), { force: true });
    writeOld(join(disk.path, 'file'), 101);
    execFileSync('mount', ['-t', 'tmpfs', 'none', disk.path]);
    try {
      expect(await sizes.measure([disk.path])).toEqual([0]);
      writeOld(join(disk.path, 'other'), 5);
      expect(await sizes.measure([disk.path])).toEqual([5]);
    } finally {
      execFileSync('umount', [disk.path]);
    }
    expect(await sizes.measure([disk.path])).toEqual([101]);
  });
});

describe('a mount in a volume', () => {
  let base: string;
  let root: string;
  const mounted: string[] = [];
  const mount = (...args: string[]): void => {
    execFileSync('mount', args);
    mounted.push(args.at(-1) ?? '');
  };
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'mounted-'));
    root = join(base, 'volume');
    for (const folder of ['volume/a/b', 'outside/deep']) mkdirSync(join(base, folder), { recursive: true });
    writeOld(join(root, 'a/file'), 100);
    writeOld(join(base, 'outside/deep/file'), 7);
  });
  afterEach(() => {
    for (const path of mounted.splice(0).toReversed()) execFileSync('umount', [path]);
    rmSync(base, { recursive: true });
  });

  test('is asked as by a walk while it is there, and gone without a word', async () => {
    await using sizes = new WatchedSizes();
    expect(await sizes.measure([root])).toEqual([100]);
    mount('--bind', join(base, 'outside'), join(root, 'a/b'));
    expect(await sizes.measure([root])).toEqual([107]);
    appendOld(join(base, 'outside/deep/file'), 1);
    expect(await sizes.measure([root])).toEqual([108]);
    expect(sizes.watched).toBe(0);
    execFileSync('umount', [mounted.pop() ?? '']);
    expect(await sizes.measure([root])).toEqual([100]);
    mount('-t', 'tmpfs', 'none', join(root, 'a/b'));
    writeOld(join(root, 'a/b/other'), 50);
    expect(await sizes.measure([root])).toEqual([100]);
  });

  test('an overlay that writes into a volume is seen to its end', async () => {
    await using sizes = new WatchedSizes();
    for (const folder of ['upper', 'work', 'merged'])
      mkdirSync(join(base, folder === 'merged' ? '' : 'volume', folder));
    const layers = `lowerdir=${base}/outside,upperdir=${root}/upper,workdir=${root}/work`;
    mount('-t', 'overlay', 'overlay', '-o', layers, join(base, 'merged'));
    for (let turn = 1; turn <= 3; turn++) {
      appendOld(join(base, 'merged/file'), 10);
      expect(await sizes.measure([root])).toEqual([100 + turn * 10]);
    }
    expect(sizes.watched).toBe(0);
  });
});
