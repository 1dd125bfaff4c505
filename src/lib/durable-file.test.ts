import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { writeDurably } from './durable-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'durable-'));
  return () => rmSync(folder, { recursive: true });
});

test('a file is there with its content and mode, and nothing beside it', async () => {
  await writeDurably(join(folder, 'file'), 'content', { mode: 0o640 });
  expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('content');
  expect(statSync(join(folder, 'file')).mode & 0o777).toBe(0o640);
  expect(readdirSync(folder)).toEqual(['file']);
});

test('an existing file is replaced atomically, and open descriptors keep the old one', async () => {
  writeFileSync(join(folder, 'file'), 'the old content');
  const before = statSync(join(folder, 'file')).ino;
  await writeDurably(join(folder, 'file'), new Uint8Array([1, 2, 3]));
  expect([...readFileSync(join(folder, 'file'))]).toEqual([1, 2, 3]);
  expect(statSync(join(folder, 'file')).ino).not.toBe(before);
  expect(statSync(join(folder, 'file')).mode & 0o777).toBe(0o600);
});

test('a failed write leaves the old content, and no temporary file', async () => {
  mkdirSync(join(folder, 'directory/inside'), { recursive: true });
  await expect(writeDurably(join(folder, 'directory'), 'x')).rejects.toMatchObject({
    code: expect.stringMatching(/^E/),
  });
  expect(readdirSync(folder)).toEqual(['directory']);
  await expect(writeDurably(join(folder, 'nothing/file'), 'x')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('the temporary file can be made elsewhere on the same disk', async () => {
  const temporaryDir = join(folder, 'tmp');
  mkdirSync(temporaryDir);
  await writeDurably(join(folder, 'file'), 'x', { temporaryDir });
  expect(readdirSync(temporaryDir)).toEqual([]);
  await expect(
    writeDurably(join(folder, 'file'), 'y', { temporaryDir: join(folder, 'nothing') }),
  ).rejects.toMatchObject({ code: 'ENOENT' });
  expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('x');
});

test('of many concurrent writers one is last, and its content is complete', async () => {
  const contents = Array.from({ length: 20 }, (_, i) => `${i} `.repeat(10_000));
  await Promise.all(contents.map((content) => writeDurably(join(folder, 'file'), content)));
  expect(contents).toContain(readFileSync(join(folder, 'file'), 'utf8'));
  expect(readdirSync(folder)).toEqual(['file']);
});
