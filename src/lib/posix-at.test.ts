import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { errnoOf } from '../model/errors.ts';
import { DirectoryHandle } from './directory-handle.ts';
import { openAt, openFlag, removeDirectoryAt, reopen, statAt, statOpen, unlinkAt } from './posix-at.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-at-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    return errnoOf(error);
  }
  return undefined;
}

test('statAt() and statOpen() tell what lstat tells, of every type and time', () => {
  writeFileSync(join(folder, 'file'), 'content');
  utimesSync(join(folder, 'file'), -12_345.25, -12_345.25);
  mkdirSync(join(folder, 'dir'));
  symlinkSync('nowhere', join(folder, 'link'));
  using handle = DirectoryHandle.open(folder);
  using places = new DisposableStack();
  const nodes = places.adopt(DirectoryHandle.open('/dev'), (one) => one[Symbol.dispose]());
  const samples = [
    ...['file', 'dir', 'link'].map((name) => ({ directory: handle, path: join(folder, name), name })),
    { directory: nodes, path: '/dev/null', name: 'null' },
  ];
  for (const { directory, path, name } of samples) {
    const found = statAt(directory.fd, name);
    const known = lstatSync(path, { bigint: true });
    const fd = places.adopt(openAt(directory.fd, name, openFlag.path | constants.O_NOFOLLOW), closeSync);
    for (const stat of [found, statOpen(fd)]) {
      for (const key of ['dev', 'ino', 'mode', 'nlink', 'uid', 'gid', 'rdev', 'size', 'blocks'] as const)
        expect(stat[key], `${path} ${key}`).toBe(known[key]);
      expect([stat.mtimeNs, stat.ctimeNs]).toEqual([known.mtimeNs, known.ctimeNs]);
      expect([stat.isFile(), stat.isDirectory(), stat.isSymbolicLink(), stat.isCharacterDevice()]).toEqual([
        known.isFile(),
        known.isDirectory(),
        known.isSymbolicLink(),
        known.isCharacterDevice(),
      ]);
    }
  }
});

test('reopen() opens the very file, whatever has its name by now', () => {
  writeFileSync(join(folder, 'one'), 'first');
  using handle = DirectoryHandle.open(folder);
  using opened = new DisposableStack();
  const node = opened.adopt(openAt(handle.fd, 'one', openFlag.path | constants.O_NOFOLLOW), closeSync);
  renameSync(join(folder, 'one'), join(folder, 'two'));
  symlinkSync('/etc/passwd', join(folder, 'one'));
  const fd = opened.adopt(reopen(node, constants.O_RDONLY), closeSync);
  const content = Buffer.alloc(5);
  readSync(fd, content, 0, 5, 0);
  expect(content.toString()).toBe('first');
});

test('what a name is must fit the call, and no name can end early', () => {
  mkdirSync(join(folder, 'dir'));
  symlinkSync('dir', join(folder, 'link'));
  using handle = DirectoryHandle.open(folder);
  expect(codeOf(() => unlinkAt(handle.fd, 'dir'))).toBe('EISDIR');
  expect(codeOf(() => removeDirectoryAt(handle.fd, 'link'))).toBe('ENOTDIR');
  expect(codeOf(() => handle.openChild('link'))).toBe('ENOTDIR');
  expect(codeOf(() => statAt(handle.fd, 'link\0x'))).toBe('EINVAL');
  expect(codeOf(() => statAt(handle.fd, 'x'.repeat(5000)))).toBe('ENAMETOOLONG');
  expect(codeOf(() => statAt(handle.fd, 'none'))).toBe('ENOENT');
  unlinkAt(handle.fd, 'link');
  removeDirectoryAt(handle.fd, 'dir');
  expect(codeOf(() => statAt(handle.fd, 'dir'))).toBe('ENOENT');
});
