import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mustRun } from '../../scripts/run-command.ts';
import { holdfastCommand } from '../support/holdfast-command.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { treeFacts } from '../support/tree-facts.ts';

test.each(['ext4', 'btrfs', 'xfs'] as const)(
  'what is in the root of a mounted %s is replaced in place, where the root itself cannot be',
  async (type) => {
    await using data = mountLoopFilesystem(type);
    await using state = mountLoopFilesystem('ext4');
    const holdfast = holdfastCommand(join(state.path, 'state'));
    await holdfast.run('init', '--repo', join(state.path, 'repository'));
    await makeHostileTree(data.path);
    chmodSync(data.path, 0o1750);
    const without = { without: ['directoryTimes'] } as const;
    const saved = treeFacts(data.path, without);
    await holdfast.run('backup', data.path);
    rmSync(join(data.path, 'plain.txt'));
    writeFileSync(join(data.path, 'big.bin'), 'changed');
    mkdirSync(join(data.path, 'new-folder'));
    chmodSync(data.path, 0o755);
    const mounted = existsSync(join(data.path, 'lost+found'));
    const restored = await holdfast.attempt('restore', data.path, '--yes');
    expect(restored).toMatchObject({ exitCode: 0 });
    // The old data is gone: a container would have seen it.
    expect(restored.output).toContain('not kept for an undo');
    expect(restored.output).not.toContain('holdfast undo');
    expect(treeFacts(data.path, without)).toEqual(saved);
    expect(readdirSync(data.path).filter((name) => name.startsWith('.holdfast'))).toEqual([]);
    expect(existsSync(join(data.path, 'lost+found'))).toBe(mounted);
  },
);

test('a directory in which something is mounted is not replaced, and the mount is left alone', async () => {
  await using outer = mountLoopFilesystem('ext4');
  const holdfast = holdfastCommand(join(outer.path, 'state'));
  await holdfast.run('init', '--repo', join(outer.path, 'repository'));
  const root = join(outer.path, 'data');
  mkdirSync(join(root, 'inner'), { recursive: true });
  writeFileSync(join(root, 'f'), 'saved');
  await holdfast.run('backup', root);
  writeFileSync(join(root, 'f'), 'changed');
  await mustRun('mount', ['-t', 'tmpfs', 'none', join(root, 'inner')]);
  try {
    writeFileSync(join(root, 'inner/precious'), 'precious');
    const before = treeFacts(root);
    const refused = await holdfast.attempt('restore', root, '--yes');
    expect(refused.exitCode).toBe(5);
    expect(refused.output).toMatch(/something is mounted in it/);
    expect(treeFacts(root)).toEqual(before);
  } finally {
    await mustRun('umount', [join(root, 'inner')]);
  }
});
