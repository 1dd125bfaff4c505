import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { readUserNames } from './user-names.ts';
import {
  dataRuns,
  listXattrs,
  makeNode,
  packDevice,
  removeXattr,
  setTimes,
  setXattr,
  syncFilesystem,
  unpackDevice,
} from './posix.ts';

const isRoot = process.getuid?.() === 0;

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'posix-'));
  file = join(folder, 'file');
  writeFileSync(file, 'x');
  return () => rmSync(folder, { recursive: true });
});

function withOpen<T>(path: string, work: (fd: number) => T): T {
  const fd = openSync(path, 'r+');
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

describe('extended attributes', () => {
  test('of any bytes are set, listed and removed, by path and by open file', () => {
    const attributes = [
      { name: 'user.plain', value: Buffer.from('value') },
      { name: 'user.bytes', value: Buffer.from([0, 255, 10, 61]) },
      { name: 'user.empty', value: Buffer.alloc(0) },
      { name: 'user.caf\xc3\xa9 %=', value: Buffer.alloc(3000, 7) },
    ];
    setXattr(file, attributes[0] as (typeof attributes)[0]);
    withOpen(file, (fd) => attributes.slice(1).forEach((attribute) => setXattr(fd, attribute)));
    const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
    const expected = attributes.toSorted(byName).map(({ name, value }) => [name, value.toString('hex')]);
    const listed = (target: string | number): unknown =>
      listXattrs(target)
        .toSorted(byName)
        .map(({ name, value }) => [name, Buffer.from(value).toString('hex')]);
    expect(listed(file)).toEqual(expected);
    expect(withOpen(file, listed)).toEqual(expected);
    removeXattr(file, 'user.empty');
    expect(listXattrs(file)).toHaveLength(3);
  });

  test('of a symbolic link are its own, not those of its target', () => {
    setXattr(file, { name: 'user.a', value: Buffer.from('b') });
    symlinkSync('file', join(folder, 'link'));
    expect(listXattrs(join(folder, 'link'))).toEqual([]);
    expect(() => setXattr(join(folder, 'link'), { name: 'user.a', value: Buffer.alloc(0) })).toThrow(
      expect.objectContaining({ code: 'EPERM' }),
    );
  });

  test('that cannot be had are said in errno, with the path', () => {
    expect(() => listXattrs(join(folder, 'nothing'))).toThrow(
      expect.objectContaining({ code: 'ENOENT', path: join(folder, 'nothing') }),
    );
    expect(() => listXattrs('a\0b')).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => setXattr(file, { name: 'nonsense', value: Buffer.alloc(0) })).toThrow(
      expect.objectContaining({ code: 'EOPNOTSUPP' }),
    );
    expect(() => removeXattr(file, 'user.nothing')).toThrow(expect.objectContaining({ code: 'ENODATA' }));
  });
});

test.each([0n, 1n, -1n, 1_700_000_000_123_456_789n, -2_000_000_000_999_999_999n, 4_102_444_800_000_000_001n])(
  'a time of %s nanoseconds is set exactly',
  (time) => {
    setTimes(file, time, 5_000_000_001n);
    expect(lstatSync(file, { bigint: true })).toMatchObject({ mtimeNs: time, atimeNs: 5_000_000_001n });
    withOpen(file, (fd) => setTimes(fd, time + 7n));
    expect(lstatSync(file, { bigint: true }).mtimeNs).toBe(time + 7n);
  },
);

test('the time of a symbolic link is its own', () => {
  const before = lstatSync(file, { bigint: true }).mtimeNs;
  symlinkSync('file', join(folder, 'link'));
  setTimes(join(folder, 'link'), 42n);
  expect(lstatSync(join(folder, 'link'), { bigint: true }).mtimeNs).toBe(42n);
  expect(lstatSync(file, { bigint: true }).mtimeNs).toBe(before);
});

test('packed device numbers are those of the kernel, and can be unpacked', () => {
  const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(number, number, (major, minor) => {
      expect(unpackDevice(packDevice(major, minor))).toEqual({ major, minor });
    }),
  );
  expect(packDevice(1, 3)).toBe(lstatSync('/dev/null', { bigint: true }).rdev);
});

test.runIf(isRoot)('devices, fifos and sockets are made as they are asked for', () => {
  makeNode(join(folder, 'char'), { type: 'chardev', mode: 0o600, deviceMajor: 259, deviceMinor: 70_000 });
  makeNode(join(folder, 'fifo'), { type: 'fifo', mode: 0o600 });
  makeNode(join(folder, 'socket'), { type: 'socket', mode: 0o600 });
  expect(execFileSync('stat', ['-c', '%F %Hr %Lr', join(folder, 'char')]).toString()).toBe(
    'character special file 259 70000\n',
  );
  expect(lstatSync(join(folder, 'fifo')).isFIFO()).toBe(true);
  expect(lstatSync(join(folder, 'socket')).isSocket()).toBe(true);
  expect(() => makeNode(join(folder, 'fifo'), { type: 'fifo', mode: 0o600 })).toThrow(
    expect.objectContaining({ code: 'EEXIST' }),
  );
});

test('the runs of data of a sparse file are found, and a file of one hole has none', () => {
  withOpen(file, (fd) => {
    ftruncateSync(fd, 0);
    ftruncateSync(fd, 10_000_000);
    expect(dataRuns(fd, 10_000_000)).toEqual([]);
    writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 4_096_000);
    writeSync(fd, Buffer.alloc(10, 1), 0, 10, 9_999_990);
    const runs = dataRuns(fd, 10_000_000) ?? [];
    expect(runs).toHaveLength(2);
    expect(runs[0]?.offset).toBeLessThanOrEqual(4_096_000);
    expect((runs[0]?.offset ?? 0) + (runs[0]?.length ?? 0)).toBeGreaterThanOrEqual(4_100_096);
    expect((runs[1]?.offset ?? 0) + (runs[1]?.length ?? 0)).toBe(10_000_000);
    expect(dataRuns(fd, 0)).toEqual([]);
    // Data beyond the requested range is not reported.
    expect(dataRuns(fd, 4_000_000)).toEqual([]);
    expect(() => syncFilesystem(fd)).not.toThrow();
  });
});

test('user and group names are those of this machine, and unknown numbers have none', () => {
  const names = readUserNames();
  expect(names.user(0)).toBe('root');
  expect(names.group(0)).toBe('root');
  expect(names.user(4_000_000_000)).toBe('');
  expect(names.group(-1)).toBe('');
});
