import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TreeProblem } from './tree-problem.ts';
import { walkTree, type WalkOptions } from './tree-walk.ts';

const isRoot = process.getuid?.() === 0;
let folder: string;
let root: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-walk-'));
  root = join(folder, 'root');
  mkdirSync(join(root, 'b/c'), { recursive: true });
  writeFileSync(join(root, 'a'), 'a');
  writeFileSync(join(root, 'b/c/d'), 'd');
  writeFileSync(join(root, 'b.txt'), 'b');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('walkTree()', () => {
  test('goes depth first, names in byte order, each directory before its entries', async () => {
    expect((await walked()).paths).toEqual(['', 'a', 'b', 'b/c', 'b/c/d', 'b.txt']);
  });

  test('does not follow a symbolic link, neither there before nor put in the place of a directory meanwhile', async () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'secret');
    symlinkSync(outside, join(root, 'link'));
    const result = await walked({}, (path) => {
      if (path !== 'b') return;
      renameSync(join(root, 'b'), join(folder, 'elsewhere'));
      symlinkSync(outside, join(root, 'b'));
    });
    expect(result.paths).toEqual(['', 'a', 'b', 'b.txt', 'link']);
    expect(result.problems).toMatchObject([{ path: 'b', reason: 'changed' }]);
  });

  test('does not read a file that took the place of the one it saw', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'secret');
    expect.assertions(2);
    for await (const { entry, open } of walkTree(root)) {
      if (entry.path !== 'a') continue;
      unlinkSync(join(root, 'a'));
      symlinkSync(secret, join(root, 'a'));
      await expect(open().next()).rejects.toMatchObject({ code: 'ELOOP' });
      unlinkSync(join(root, 'a'));
      execFileSync('mkfifo', [join(root, 'a')]);
      await expect(open().next()).rejects.toMatchObject({ code: 'ENOTDIR' });
    }
  });

  test('reports a file that vanished and a file that was written to, and continues', async () => {
    const problems: TreeProblem[] = [];
    const paths: string[] = [];
    for await (const { entry, open } of walkTree(root, { onProblem: (problem) => problems.push(problem) })) {
      paths.push(entry.path);
      if (entry.path === '') unlinkSync(join(root, 'a'));
      if (entry.path !== 'b.txt') continue;
      writeFileSync(join(root, 'b.txt'), 'longer');
      const chunks: Uint8Array[] = [];
      for await (const chunk of open()) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString()).toBe('l');
    }
    expect(paths).toEqual(['', 'b', 'b/c', 'b/c/d', 'b.txt']);
    expect(problems.map((problem) => `${problem.path} ${problem.reason}`)).toEqual([
      'a vanished',
      'b.txt changed',
    ]);
  });

  test('leaves out skipped paths and everything below', async () => {
    expect((await walked({ skip: (path) => path === 'b' })).paths).toEqual(['', 'a', 'b.txt']);
  });

  test.skipIf(!isRoot)(
    'shows a mounted file system as an empty directory and reports it, unless asked to enter',
    async () => {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(root, 'b/c')]);
      try {
        writeFileSync(join(root, 'b/c/mounted'), 'x');
        const result = await walked();
        expect(result.paths).toEqual(['', 'a', 'b', 'b/c', 'b.txt']);
        expect(result.problems).toMatchObject([{ path: 'b/c', reason: 'unsupported' }]);
        expect((await walked({ crossFilesystems: true })).paths).toContain('b/c/mounted');
      } finally {
        execFileSync('umount', [join(root, 'b/c')]);
      }
    },
  );

  test('takes only one name of the root when asked to', async () => {
    expect((await walked({ only: 'b' })).paths).toEqual(['', 'b', 'b/c', 'b/c/d']);
  });

  test('throws when the root is not there or no directory', async () => {
    await expect(walkTree(join(root, 'nothing')).next()).rejects.toMatchObject({ code: 'not-found' });
    await expect(walkTree(join(root, 'a')).next()).rejects.toMatchObject({ code: 'usage' });
  });

  test('stops when its signal is aborted', async () => {
    await expect(walkTree(root, { signal: AbortSignal.abort() }).next()).rejects.toMatchObject({
      code: 'cancelled',
    });
  });

  test('closes what it opened when its consumer stops early', async () => {
    const before = openFiles();
    for await (const { entry } of walkTree(root)) if (entry.path === 'b/c/d') break;
    expect(openFiles()).toBe(before);
  });
});

/** Descriptors opened below the root. */
function openFiles(): string {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.startsWith(root)).join();
}

async function walked(options: WalkOptions = {}, visit: (path: string) => void = () => undefined) {
  const paths: string[] = [];
  const problems: TreeProblem[] = [];
  for await (const { entry } of walkTree(root, {
    ...options,
    onProblem: (problem) => problems.push(problem),
  })) {
    paths.push(entry.path);
    visit(entry.path);
  }
  return { paths, problems };
}
