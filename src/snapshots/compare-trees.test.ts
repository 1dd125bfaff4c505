import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from '../model/entry.ts';
import { comparePaths } from '../lib/compare-paths.ts';
import { type Change, compareTrees } from './compare-trees.ts';

function entry(path: string, fields: Partial<Entry> = {}): Entry {
  return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 1n, size: 1, ...fields };
}

async function* given(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* [...entries].sort((a, b) => comparePaths(a.path, b.path));
}

async function compare(before: readonly Entry[], after: readonly Entry[]): Promise<string[]> {
  const changes: Change[] = [];
  const rules = { isSameContent: (a: Entry, b: Entry) => a.mtimeNs === b.mtimeNs, comparesXattrs: true };
  for await (const change of compareTrees({ before: given(before), after: given(after) }, rules))
    changes.push(change);
  return changes.map(({ kind, path }) => `${kind} ${path}`);
}

test('compareTrees() reports what was added, removed, changed, and what differs in metadata only', async () => {
  const before = [
    entry('a'),
    entry('b'),
    entry('c'),
    entry('d', { type: 'symlink', linkTarget: 'x' }),
    entry('e'),
  ];
  const after = [
    entry('a'),
    entry('b', { size: 2 }),
    entry('c', { mode: 0o600 }),
    entry('d', { type: 'symlink', linkTarget: 'y' }),
    entry('f'),
  ];
  expect(await compare(before, after)).toEqual([
    'changed b',
    'metadata c',
    'changed d',
    'removed e',
    'added f',
  ]);
});

test('compareTrees() ignores the times of directories, but not their owners', async () => {
  const before = [entry('d', { type: 'dir', mtimeNs: 1n }), entry('e', { type: 'dir' })];
  const after = [entry('d', { type: 'dir', mtimeNs: 2n }), entry('e', { type: 'dir', uid: 5 })];
  expect(await compare(before, after)).toEqual(['metadata e']);
});

test('compareTrees() reports an extended attribute with another value', async () => {
  const with1 = entry('a', { xattrs: [{ name: 'user.x', value: Buffer.from('1') }] });
  const with2 = entry('a', { xattrs: [{ name: 'user.x', value: Buffer.from('2') }] });
  expect(await compare([with1], [with2])).toEqual(['metadata a']);
  expect(await compare([with1], [with1])).toEqual([]);
});

test('comparePaths() is the order of a walk: a folder, its content, then "folder.txt"', () => {
  expect(['b.txt', 'b', 'b/c', 'a', 'b/c/d', 'b-1'].sort(comparePaths)).toEqual([
    'a',
    'b',
    'b/c',
    'b/c/d',
    'b-1',
    'b.txt',
  ]);
});

test('compareTrees() finds exactly the differences between two sets of paths', async () => {
  const paths = fc.uniqueArray(fc.stringMatching(/^[a-c.-]{1,3}(\/[a-c.-]{1,3}){0,2}$/), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(paths, paths, async (before, after) => {
      const found = await compare(
        before.map((path) => entry(path)),
        after.map((path) => entry(path)),
      );
      const expected = [
        ...before.filter((path) => !after.includes(path)).map((path) => `removed ${path}`),
        ...after.filter((path) => !before.includes(path)).map((path) => `added ${path}`),
      ];
      expect(found.sort()).toEqual(expected.sort());
    }),
  );
});
