import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { holdfastCommand } from '../support/holdfast-command.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { treeFacts } from '../support/tree-facts.ts';

const megabyte = 1024 * 1024;

test('a backup onto a full disk reports it, leaves an intact repository, and works once there is room', async () => {
  await using data = mountLoopFilesystem('ext4');
  // Two packs of 17 to 19 MB and some more fit, but never three: there is little room left when they stay.
  await using store = mountLoopFilesystem('ext4', { sizeBytes: 53 * megabyte });
  const holdfast = holdfastCommand(join(data.path, 'state'));
  await holdfast.run('init', '--repo', join(store.path, 'repository'));
  const root = await holdfast.createVolume('data');
  writeFileSync(join(root, 'small'), randomBytes(megabyte));
  await holdfast.run('backup', 'data');
  const ballast = join(root, 'ballast');
  writeFileSync(ballast, randomBytes(90 * megabyte));

  const failed = await holdfast.attempt('backup', 'data');
  expect(failed.exitCode).toBe(1);
  expect(failed.output).toMatch(/full|no space/i);
  expect(failed.output).not.toMatch(/\n\s+at /);

  await holdfast.run('check', '--read-data');
  rmSync(ballast);
  writeFileSync(join(root, 'second'), randomBytes(megabyte));
  await holdfast.run('backup', 'data');
});

test('a restore onto a full disk reports it and leaves the volume unchanged', async () => {
  await using data = mountLoopFilesystem('ext4', { sizeBytes: 96 * megabyte });
  await using store = mountLoopFilesystem('ext4');
  const holdfast = holdfastCommand(join(data.path, 'state'));
  await holdfast.run('init', '--repo', join(store.path, 'repository'));
  const root = await holdfast.createVolume('data');
  writeFileSync(join(root, 'large'), randomBytes(50 * megabyte));
  await holdfast.run('backup', 'data');
  // Now the snapshot does not fit beside the existing ones.
  writeFileSync(join(root, 'newer'), randomBytes(10 * megabyte));
  const before = treeFacts(root);

  const failed = await holdfast.attempt('restore', 'data', '--yes');
  expect(failed.exitCode).toBe(1);
  expect(failed.output).toMatch(/full|no space/i);
  expect(treeFacts(root)).toEqual(before);
});

test('a read-only repository refuses a backup, can be checked, and gives its snapshots back', async () => {
  await using data = mountLoopFilesystem('ext4');
  await using store = mountLoopFilesystem('ext4');
  const holdfast = holdfastCommand(join(data.path, 'state'));
  await holdfast.run('init', '--repo', join(store.path, 'repository'));
  const root = await holdfast.createVolume('data');
  mkdirSync(join(root, 'folder'));
  writeFileSync(join(root, 'folder/file'), 'content');
  await holdfast.run('backup', 'data');
  const before = treeFacts(root);
  store.remount('ro');

  const failed = await holdfast.attempt('backup', 'data');
  expect(failed.exitCode).toBe(1);
  expect(failed.output).toMatch(/read-only/i);

  const target = join(data.path, 'restored');
  await holdfast.run('restore', 'data', '--to', target, '--yes');
  expect(treeFacts(target)).toEqual(before);
});
