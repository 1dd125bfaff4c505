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
import type { TreeNode } from '../format/node.ts';
import { type FilePart, LikeFiles } from './like-files.ts';

let folder: string;
let like: string;
let target: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-like-'));
  like = join(folder, 'live');
  target = join(folder, 'stage');
  mkdirSync(like);
  mkdirSync(target);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const partBytes = 100_000;
const wanted = Buffer.concat([1, 2, 3].map((value) => Buffer.alloc(partBytes, value)));

const parts: readonly FilePart[] = [0, 1, 2].map((index) => {
  const content = wanted.subarray(index * partBytes, (index + 1) * partBytes);
  const id = createHash('sha256').update(content).digest('hex');
  return { id, offset: index * partBytes, length: partBytes };
});

const node = { type: 'file', size: wanted.length, dataRuns: undefined } as unknown as TreeNode;

function take(files: LikeFiles): Promise<FilePart[] | undefined> {
  return files.take(node, join(target, 'file'), () => parts);
}

test('takes the parts that are the same, and gives back the others', async () => {
  const live = Buffer.from(wanted);
  live[partBytes + 5] = 0;
  writeFileSync(join(like, 'file'), live);
  const files = new LikeFiles({ like, target, copies: true });
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
  const files = new LikeFiles({ like, target, copies: true });
  expect(await take(files)).toEqual(left.map((index) => parts[index]));
  expect(readFileSync(join(target, 'file'))).toHaveLength(wanted.length);
});

test('makes nothing where there is no such file, or it is none that can be read', async () => {
  const files = new LikeFiles({ like, target, copies: true });
  expect(await take(files)).toBeUndefined();
  execFileSync('mkfifo', [join(like, 'file')]);
  expect(await take(files)).toBeUndefined();
  rmSync(join(like, 'file'));
  writeFileSync(join(folder, 'elsewhere'), wanted);
  symlinkSync(join(folder, 'elsewhere'), join(like, 'file'));
  expect(await take(files)).toBeUndefined();
  expect(existsSync(join(target, 'file'))).toBe(false);
});

test('what is no file is not even opened', async () => {
  execFileSync('mkfifo', [join(like, 'file')]);
  let isOpened = false;
  const writer = open(join(like, 'file'), 'w').finally(() => (isOpened = true));
  expect(await take(new LikeFiles({ like, target, copies: true }))).toBeUndefined();
  await sleep(100);
  expect(isOpened).toBe(false);
  await using _reader = await open(join(like, 'file'), constants.O_RDONLY | constants.O_NONBLOCK);
  await (await writer).close();
});

test('small and sparse files are not looked at', async () => {
  writeFileSync(join(like, 'file'), wanted);
  const files = new LikeFiles({ like, target, copies: true });
  const path = join(target, 'file');
  expect(await files.take({ ...node, size: 1000 }, path, () => parts)).toBeUndefined();
  expect(await files.take({ ...node, dataRuns: [] }, path, () => parts)).toBeUndefined();
  expect(existsSync(path)).toBe(false);
});
