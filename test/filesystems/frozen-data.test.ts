import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { openFreshRepository } from '../fixtures/open-repository.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { saveTogether } from '../support/save-together.ts';
import { namelessOn, saveOf, savedContent } from './still-save.ts';

const paths = ['large', 'base/1/large', 'base/2/large', 'base/2/deep/large', 'base/3/small', 'wal/large'];

test.each(['btrfs', 'xfs'] as const)(
  'large files all over a tree are cloned on %s while it is still, and containers do not wait for what is read afterwards',
  async (type) => {
    await using disk = mountLoopFilesystem(type);
    await using opened = await openFreshRepository();
    const root = join(disk.path, 'data');
    mkdirSync(join(root, 'base/2'), { recursive: true });
    // The recommended setting for databases, in a folder that is otherwise compressed.
    if (type === 'btrfs') execFileSync('chattr', ['+C', join(root, 'base/2')]);
    if (type === 'btrfs') execFileSync('chattr', ['+c', root]);
    const writeAll = (letter: string): void => {
      for (const path of paths) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), Buffer.alloc(path.endsWith('small') ? 10 : 5_000_000, letter));
      }
    };
    writeAll('a');
    const { repository } = opened;
    const [result] = await saveTogether(repository, [saveOf(root)], {
      liveFirst: true,
      clones: true,
      begin: async () => {
        writeAll('b');
        return Date.now();
      },
      async end() {
        expect(namelessOn(disk.path)).toHaveLength(5);
        writeAll('c');
      },
    });
    const content = await savedContent(repository, result);
    expect(
      [...content].map(([path, bytes]) => [
        path,
        `${bytes.length} of ${[...new Set(bytes.toString())].join('')}`,
      ]),
    ).toEqual([...paths].sort().map((path) => [path, `${path.endsWith('small') ? 10 : 5_000_000} of b`]));
  },
);

test('clones are released when the containers cannot be restarted', async () => {
  await using disk = mountLoopFilesystem('btrfs');
  await using opened = await openFreshRepository();
  const root = join(disk.path, 'data');
  mkdirSync(root);
  for (let i = 0; i < 10; i++) writeFileSync(join(root, `large-${i}`), Buffer.alloc(1_000_000, i));
  const moment = {
    liveFirst: false,
    clones: true,
    begin: async () => Date.now(),
    async end() {
      expect(namelessOn(disk.path)).toHaveLength(10);
      throw new Error('A container does not start');
    },
  };
  await expect(saveTogether(opened.repository, [saveOf(root)], moment)).rejects.toThrow('does not start');
  expect(namelessOn(disk.path)).toEqual([]);
});

test('reads from clones count for their own volume', async () => {
  await using disk = mountLoopFilesystem('btrfs');
  await using opened = await openFreshRepository();
  const roots = ['one', 'two'].map((name) => join(disk.path, name));
  for (const root of roots) {
    mkdirSync(root);
    writeFileSync(join(root, 'large'), 'a');
  }
  const sizes = [60_000_000, 20_000_000];
  const results = await saveTogether(opened.repository, roots.map(saveOf), {
    liveFirst: true,
    clones: true,
    begin: async () => {
      for (const [i, root] of roots.entries()) writeFileSync(join(root, 'large'), randomBytes(sizes[i] ?? 0));
      return Date.now();
    },
    end: async () => undefined,
  });
  for (const [i, { summary }] of results.entries())
    expect(Math.round(summary.bytesAdded / 1e6)).toBe((sizes[i] ?? 0) / 1e6);
});
