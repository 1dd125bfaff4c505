import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Cli } from '../cli/cli.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';

test('a disk that fills up during a benchmark is an error, and has its room again', async () => {
  await using opened = new AsyncDisposableStack();
  const disk = opened.use(mountLoopFilesystem('xfs'));
  const cli = opened.use(new Cli());
  const root = await cli.volume('pg');
  const data = join(disk.path, 'data');
  mkdirSync(data);
  execFileSync('mount', ['--bind', data, root]);
  opened.defer(() => void execFileSync('umount', [root]));
  const roomOf = (): number => {
    const { bavail, bsize } = statfsSync(disk.path);
    return bavail * bsize;
  };
  // There is room for the file that is measured, three times, and not for a thousand small ones.
  const ballast = join(disk.path, 'ballast');
  writeFileSync(ballast, '');
  execFileSync('fallocate', ['-l', String(roomOf() - 3_700_000), ballast]);
  const before = roomOf();
  expect(before).toBeGreaterThan(3 * 2 ** 20);
  const args = ['bench', 'pg', '--quick', '--size', '1MiB', '--profile', 'files'];
  const full = await cli.attempt(args);
  expect(full).toMatchObject({ exit: 1, stderr: expect.stringContaining('the disk is full') });
  expect(readdirSync(root)).toEqual([]);
  // What was freed is counted a little later.
  await expect.poll(roomOf).toBeGreaterThan(before - 2 ** 20);
  const tooLarge = await cli.attempt(['bench', 'pg', '--quick', '--size', '2MiB']);
  expect(tooLarge).toMatchObject({ exit: 1, stderr: expect.stringContaining('wants three times its size') });
});
