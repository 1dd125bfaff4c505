import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { holdfastCommand } from '../support/holdfast-command.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { type LoopFilesystemType, mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { treeFacts } from '../support/tree-facts.ts';

const types: readonly LoopFilesystemType[] = ['btrfs', 'xfs', 'ext4'];

describe.each(types)('a volume and its repository on %s', (type) => {
  test('come back from a backup with every byte, hole, link, attribute and time', async () => {
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
