import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { DurableWriter } from '../stores/local-file-in-making.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'durable-'));
  return () => rmSync(folder, { recursive: true });
});

test('a file has its name, its mode and all its parts at the end', async () => {
  const writer = new DurableWriter(folder, 0o640);
  for (const part of ['one ', '', 'two']) writer.write(Buffer.from(part));
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^tmp-\d+-[0-9a-f]{16}$/)]);
  await writer.moveTo(join(folder, 'file'));
  expect(readdirSync(folder)).toEqual(['file']);
  expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('one two');
  expect(statSync(join(folder, 'file')).mode & 0o777).toBe(0o640);
  writer.abandon();
  expect(readdirSync(folder)).toEqual(['file']);
});

test('an abandoned file is removed, and takes no more bytes', () => {
  const writer = new DurableWriter(folder);
  writer.write(Buffer.from('x'));
  writer.abandon();
  expect(readdirSync(folder)).toEqual([]);
  expect(() => writer.write(Buffer.from('y'))).toThrow();
  expect(readdirSync(folder)).toEqual([]);
});

test('a move that failed can be made again', async () => {
  const writer = new DurableWriter(folder);
  writer.write(Buffer.from('x'));
  await expect(writer.moveTo(join(folder, 'not-there/file'))).rejects.toMatchObject({ code: 'ENOENT' });
  mkdirSync(join(folder, 'not-there'));
  await writer.moveTo(join(folder, 'not-there/file'));
  expect(readFileSync(join(folder, 'not-there/file'), 'utf8')).toBe('x');
  expect(readdirSync(folder)).toEqual(['not-there']);
});

/** Replaces an open file by one that no disk can sync. */
function breakOpenFile(path: string): void {
  const fd = readdirSync('/proc/self/fd').find((number) => targetOf(number) === path);
  closeSync(Number(fd));
  expect(openSync('/dev/null', 'w')).toBe(Number(fd));
}

function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}

test('a file that could not be synced is removed, and never gets its name', async () => {
  const writer = new DurableWriter(folder);
  writer.write(Buffer.from('x'));
  const [temporary = ''] = readdirSync(folder);
  breakOpenFile(join(folder, temporary));
  await expect(writer.moveTo(join(folder, 'file'))).rejects.toMatchObject({ code: 'EINVAL' });
  expect(readdirSync(folder)).toEqual([]);
  await expect(writer.moveTo(join(folder, 'file'))).rejects.toThrow('abandoned');
});

test('a writer whose folder is missing throws that', () => {
  expect(() => new DurableWriter(join(folder, 'nothing'))).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
});
