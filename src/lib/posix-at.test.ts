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
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { errnoOf } from '../model/errors.ts';
import { DirectoryHandle } from './directory-handle.ts';
import {
  mountOf,
  openAt,
  openFlag,
  removeDirectoryAt,
  reopen,
  statAt,
  statOpen,
  unlinkAt,
} from './posix-at.ts';

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

test('statAt() and statOpen() agree with lstat for every type and time', () => {
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

test('a name must fit the call, and must not contain a NUL', () => {
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

/** Like the profile of a container engine: only statx(2) is forbidden. */
const forbidStatx = `
import koffi from 'koffi';
const libc = koffi.load(null);
const prctl = libc.func('int prctl(int option, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)');
const steps = [
  [0x20, 0, 0, 0],
  [0x15, 0, 1, process.arch === 'arm64' ? 291 : 332],
  [0x06, 0, 0, 0x00050001],
  [0x06, 0, 0, 0x7fff0000],
];
const filter = Buffer.alloc(steps.length * 8);
steps.forEach(([code, yes, no, value], index) => {
  filter.writeUInt16LE(code, index * 8);
  filter[index * 8 + 2] = yes;
  filter[index * 8 + 3] = no;
  filter.writeUInt32LE(value, index * 8 + 4);
});
const program = Buffer.alloc(16);
program.writeUInt16LE(steps.length);
program.writeBigUInt64LE(koffi.address(filter), 8);
if (prctl(38, 1, 0, 0, 0) !== 0 || prctl(22, 2, Number(koffi.address(program)), 0, 0) !== 0)
  throw new Error('no filter');
`;

test('where a container’s profile forbids statx(2), directories are held and looked at all the same', () => {
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'data/file'), 'text');
  const script = `${forbidStatx}
const { openTrusted } = await import('${join(import.meta.dirname, 'open-trusted.ts')}');
const { statAt, mountOf } = await import('${join(import.meta.dirname, 'posix-at.ts')}');
const { canScan } = await import('${join(import.meta.dirname, 'scan-directory.ts')}');
const held = openTrusted(${JSON.stringify(join(folder, 'data'))});
const { ino, size } = statAt(held.fd, 'file');
console.log(JSON.stringify([String(held.stat().ino), String(ino), Number(size), canScan, String(mountOf(held.fd))]));`;
  const cwd = join(import.meta.dirname, '../..');
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd,
    encoding: 'utf8',
  });
  const [of, file] = ['data', 'data/file'].map((name) => String(lstatSync(join(folder, name)).ino));
  using held = DirectoryHandle.open(join(folder, 'data'));
  // A mount in a tree is recognized as well, so that it is not deleted with the tree.
  const mount = String(mountOf(held.fd));
  expect(mount).toMatch(/^\d+$/);
  expect(JSON.parse(said)).toEqual([of, file, 4, false, mount]);
});
