import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errnoOf } from '../model/errors.ts';
import { DirectoryHandle } from './directory-handle.ts';
import { isSameFile, isStillAt, openOwnFile, openTrusted } from './open-trusted.ts';
import { closeQuickly } from './posix-at.ts';
import { removeTree } from './remove-tree.ts';

const isRoot = process.getuid?.() === 0;
const other = 65534;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-trusted-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function leadsTo(path: string, to: string): boolean {
  using found = openTrusted(path);
  using wanted = DirectoryHandle.open(to);
  return isSameFile(found.stat(), wanted.stat());
}

test('a path of plain directories, own links and open descriptors is followed', () => {
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  symlinkSync('a/./b', join(folder, 'near'));
  symlinkSync(join(folder, 'near'), join(folder, 'far'));
  expect(leadsTo(`${folder}//a/./b/`, join(folder, 'a/b'))).toBe(true);
  expect(leadsTo(join(folder, 'far'), join(folder, 'a/b'))).toBe(true);
  expect(leadsTo(`${join(folder, 'far')}/..`, join(folder, 'a'))).toBe(true);
  using open = DirectoryHandle.open(folder);
  expect(leadsTo(open.at('a'), join(folder, 'a'))).toBe(true);
  expect(leadsTo('/', '/')).toBe(true);
});

test('a missing path, a file or a loop of links is a system error', () => {
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('circle', join(folder, 'circle'));
  const codeOf = (name: string): string | undefined => {
    try {
      openTrusted(join(folder, name))[Symbol.dispose]();
    } catch (error) {
      return errnoOf(error);
    }
    return undefined;
  };
  expect(['none', 'file', 'circle'].map(codeOf)).toEqual(['ENOENT', 'ENOTDIR', 'ELOOP']);
});

describe.runIf(isRoot)('as root', () => {
  test('a link that another user can change is not followed', () => {
    mkdirSync(join(folder, 'theirs'));
    mkdirSync(join(folder, 'target'));
    symlinkSync(join(folder, 'target'), join(folder, 'theirs/link'));
    expect(leadsTo(join(folder, 'theirs/link'), join(folder, 'target'))).toBe(true);
    chownSync(join(folder, 'theirs'), other, other);
    expect(() => openTrusted(join(folder, 'theirs/link'))).toThrow('another user can change');
    chownSync(join(folder, 'theirs'), 0, other);
    chmodSync(join(folder, 'theirs'), 0o770);
    expect(() => openTrusted(join(folder, 'theirs/link'))).toThrow('another user can change');
  });

  test('in a sticky directory, a link of root is followed and one of another user is not', () => {
    mkdirSync(join(folder, 'shared'));
    mkdirSync(join(folder, 'target'));
    chmodSync(join(folder, 'shared'), 0o1777);
    symlinkSync(join(folder, 'target'), join(folder, 'shared/link'));
    expect(leadsTo(join(folder, 'shared/link'), join(folder, 'target'))).toBe(true);
    lchownSync(join(folder, 'shared/link'), other, other);
    expect(() => openTrusted(join(folder, 'shared/link'))).toThrow('another user can change');
  });
});

test('a path of more than 4,096 bytes is opened, and distinguished from another', async () => {
  const names = Array.from({ length: 25 }, (_, depth) => `${depth}`.padStart(200, 'd'));
  using place = new DisposableStack();
  let above = place.use(DirectoryHandle.open(folder));
  for (const name of names) {
    mkdirSync(above.at(name));
    above = place.use(above.openChild(name));
  }
  const path = `${folder}/${names.join('/')}`;
  expect(isStillAt(above, path)).toBe(true);
  expect(isStillAt(above, folder)).toBe(false);
  expect(isStillAt(above, `${path}/none`)).toBe(false);
  await removeTree(join(folder, names[0] ?? ''));
});

test('only a file of its own is opened for more of its content', () => {
  writeFileSync(join(folder, 'file'), '');
  writeFileSync(join(folder, 'victim'), '');
  linkSync(join(folder, 'victim'), join(folder, 'linked'));
  symlinkSync('victim', join(folder, 'link'));
  mkdirSync(join(folder, 'directory'));
  using open = DirectoryHandle.open(folder);
  closeQuickly(openOwnFile(open, 'file'));
  for (const name of ['linked', 'link', 'directory'])
    expect(() => openOwnFile(open, name), name).toThrow('was replaced by another program');
});
