import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { OpenDirectories } from '../../lib/open-directories.ts';
import type { TreeNode } from '../format/node.ts';
import { type FilePart, LikeFiles } from './like-files.ts';

let folder: string;
let like: string;
let target: string;
let places: OpenDirectories;
let opened: DisposableStack;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-like-'));
  like = join(folder, 'live');
  target = join(folder, 'stage');
  mkdirSync(like);
  mkdirSync(target);
  opened = new DisposableStack();
  places = opened.use(new OpenDirectories(target, { isStaged: true }));
});
afterEach(() => {
  opened[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function openLike(): LikeFiles {
  const files = LikeFiles.open({ like, places, copies: true });
  if (files === undefined) throw new Error(`There is no ${like}`);
  return opened.use(files);
}

const partBytes = 100_000;
const wanted = Buffer.concat([1, 2, 3].map((value) => Buffer.alloc(partBytes, value)));

const parts: readonly FilePart[] = [0, 1, 2].map((index) => {
  const content = wanted.subarray(index * partBytes, (index + 1) * partBytes);
  const id = createHash('sha256').update(content).digest('hex');
  return { id, offset: index * partBytes, length: partBytes };
});

const node = { type: 'file', size: wanted.length, dataRuns: undefined } as unknown as TreeNode;

function take(files: LikeFiles): Promise<FilePart[] | undefined> {
  return files.take(node, 'file', () => parts);
}

test('takes equal parts, and returns the others', async () => {
  const live = Buffer.from(wanted);
  live[partBytes + 5] = 0;
  writeFileSync(join(like, 'file'), live);
  const files = openLike();
  expect(await take(files)).toEqual([parts[1]]);
  const made = readFileSync(join(target, 'file'));
  expect(made).toHaveLength(wanted.length);
  expect(made.subarray(0, partBytes)).toEqual(wanted.subarray(0, partBytes));
  expect(made.subarray(2 * partBytes)).toEqual(wanted.subarray(2 * partBytes));
  expect(files.bytes).toBe(2 * partBytes);
  expect(readFileSync(join(like, 'file'))).toEqual(live);
});

test.each([
  ['shorter', wanted.subarray(0, partBytes + 10), [1, 2]],
  ['longer', Buffer.concat([wanted, Buffer.alloc(50_000, 9)]), []],
])('a file that is %s has what it has in common taken', async (_, live, left) => {
  writeFileSync(join(like, 'file'), live);
  const files = openLike();
  expect(await take(files)).toEqual(left.map((index) => parts[index]));
  expect(readFileSync(join(target, 'file'))).toHaveLength(wanted.length);
});

test('creates nothing where there is no such file, or it cannot be read', async () => {
  const files = openLike();
  expect(await take(files)).toBeUndefined();
  execFileSync('mkfifo', [join(like, 'file')]);
  expect(await take(files)).toBeUndefined();
  rmSync(join(like, 'file'));
  writeFileSync(join(folder, 'elsewhere'), wanted);
  symlinkSync(join(folder, 'elsewhere'), join(like, 'file'));
  expect(await take(files)).toBeUndefined();
  expect(existsSync(join(target, 'file'))).toBe(false);
});

test('anything but a regular file is not even opened', async () => {
  execFileSync('mkfifo', [join(like, 'file')]);
  let isOpened = false;
  const writer = open(join(like, 'file'), 'w').finally(() => (isOpened = true));
  expect(await take(openLike())).toBeUndefined();
  await sleep(100);
  expect(isOpened).toBe(false);
  await using _reader = await open(join(like, 'file'), constants.O_RDONLY | constants.O_NONBLOCK);
  await (await writer).close();
});

test('a folder on the way that is a link now leads nowhere', async () => {
  mkdirSync(join(folder, 'elsewhere'));
  writeFileSync(join(folder, 'elsewhere', 'file'), wanted);
  symlinkSync(join(folder, 'elsewhere'), join(like, 'sub'));
  mkdirSync(join(target, 'sub'));
  expect(await openLike().take(node, 'sub/file', () => parts)).toBeUndefined();
});

test('there is nothing to take from where there is no directory', () => {
  rmSync(like, { recursive: true });
  expect(LikeFiles.open({ like, places, copies: true })).toBeUndefined();
});

test('small and sparse files are not looked at', async () => {
  writeFileSync(join(like, 'file'), wanted);
  const files = openLike();
  expect(await files.take({ ...node, size: 1000 }, 'file', () => parts)).toBeUndefined();
  expect(await files.take({ ...node, dataRuns: [] }, 'file', () => parts)).toBeUndefined();
  expect(existsSync(join(target, 'file'))).toBe(false);
});
