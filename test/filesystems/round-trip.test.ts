import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inodeFlag, setInodeFlag } from '../../src/lib/ioctl.ts';
import { setTimes } from '../../src/lib/posix.ts';
import { holdfastCommand } from '../support/holdfast-command.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { type LoopFilesystemType, mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { treeFacts } from '../support/tree-facts.ts';

const types: readonly LoopFilesystemType[] = ['btrfs', 'xfs', 'ext4'];

describe.each(types)('a volume and its repository on %s', (type) => {
  test('are restored from a backup with every byte, hole, link, attribute and time', async () => {
    await using disk = mountLoopFilesystem(type);
    const holdfast = holdfastCommand(join(disk.path, 'state'));
    await holdfast.run('init', '--repo', join(disk.path, 'repository'));
    const root = await holdfast.createVolume('data');
    await makeHostileTree(join(root, 'tree'));
    const before = treeFacts(root);
    expect(before.length).toBeGreaterThan(20);

    await holdfast.run('backup', 'data');
    await holdfast.run('volume', 'rm', 'data');
    await holdfast.run('restore', 'data', '--yes');

    expect(treeFacts(root)).toEqual(before);
    await holdfast.run('check', '--read-data');
  });
});

test('a volume on one file system comes back on another', async () => {
  await using here = mountLoopFilesystem('xfs');
  await using there = mountLoopFilesystem('btrfs');
  const holdfast = holdfastCommand(join(here.path, 'state'));
  await holdfast.run('init', '--repo', join(here.path, 'repository'));
  const root = await holdfast.createVolume('data');
  await makeHostileTree(join(root, 'tree'));

  await holdfast.run('backup', 'data');
  const target = join(there.path, 'restored');
  await holdfast.run('restore', 'data', '--to', target, '--yes');

  expect(treeFacts(target)).toEqual(treeFacts(root));
});

test('each kind of attribute that no snapshot keeps is reported once, and so are times that do not fit', async () => {
  await using here = mountLoopFilesystem('btrfs');
  await using there = mountLoopFilesystem('ext4');
  const holdfast = holdfastCommand(join(here.path, 'state'));
  await holdfast.run('init', '--repo', join(here.path, 'repository'));
  const root = await holdfast.createVolume('data');
  for (const name of ['first', 'second', 'third']) {
    writeFileSync(join(root, name), '');
    setFlag(join(root, name), inodeFlag.noCopyOnWrite);
    writeFileSync(join(root, name), 'content');
    // The year 2600: ext4 ends in 2446.
    setTimes(join(root, name), 19_880_899_200n * 1_000_000_000n);
  }
  mkdirSync(join(root, 'folder'));
  setFlag(join(root, 'folder'), inodeFlag.immutable);

  const saved = await holdfast.attempt('backup', 'data');
  expect(saved.exitCode).toBe(0);
  expect(saved.output).toContain(
    '3 things are not copied on write (chattr +C) in "data", which no backup keeps: "first" is one of them.',
  );
  expect(saved.output).toContain(
    'One thing is immutable (chattr +i) in "data", which no backup keeps: "folder".',
  );
  const restored = await holdfast.attempt('restore', 'data', '--to', join(there.path, 'restored'), '--yes');
  expect(restored.exitCode).toBe(0);
  expect(restored.output).toContain('3 times are beyond the years that the file system has room for');
  setFlag(join(root, 'folder'), inodeFlag.immutable, false);
});

function setFlag(path: string, flag: number, isSet = true): void {
  const fd = openSync(path, 'r');
  try {
    expect(setInodeFlag(fd, flag, isSet)).toBe(true);
  } finally {
    closeSync(fd);
  }
}
