import { hash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { openLocalStore } from './local.ts';
import type { FileInMaking, Store } from './store.ts';
import { describeStore } from '../../../test/suites/store-suite.ts';

describeStore({
  name: 'local',
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'store-'));
    return {
      store: openLocalStore(join(folder, 'not/there/yet')),
      async [Symbol.asyncDispose]() {
        rmSync(folder, { recursive: true });
      },
    };
  },
});

let location: string;
let store: Store;
const content = randomBytes(3000);
const name = hash('sha256', content);

beforeEach(async () => {
  location = mkdtempSync(join(tmpdir(), 'store-'));
  store = openLocalStore(location);
  await store.create();
  await store.save('config', '', Buffer.from('config'));
  return () => rmSync(location, { recursive: true });
});

test('files lie where restic looks for them, and only their owner reads them', async () => {
  await store.save('data', name, content);
  await store.save('index', name, content);
  expect(readFileSync(join(location, 'data', name.slice(0, 2), name)).equals(content)).toBe(true);
  expect(readFileSync(join(location, 'index', name)).equals(content)).toBe(true);
  expect(statSync(join(location, 'index', name)).mode & 0o777).toBe(0o600);
  expect(statSync(location).mode & 0o077).toBe(
    process.getuid?.() === 0 ? 0 : statSync(location).mode & 0o077,
  );
  expect(readdirSync(join(location, 'data'))).toHaveLength(256);
});

test('a file being written is never listed, and is removed when writing fails', async () => {
  // A file cannot replace a directory, so the rename at the end fails.
  mkdirSync(join(location, 'index', name));
  writeFileSync(join(location, 'index', name, 'inside'), '');
  await expect(store.save('index', name, content)).rejects.toMatchObject({ code: 'failed' });
  expect(readdirSync(join(location, 'index'))).toEqual([name]);
});

function begin(): FileInMaking {
  const file = store.begin?.();
  if (file === undefined) throw new Error('A local store takes files as they are made');
  return file;
}

/** Everything in the repository but its config. */
function filesThere(): string[] {
  return readdirSync(location, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'config')
    .map((entry) => entry.name);
}

test('a file that is sent as it is made is seen when it is finished, and not before', async () => {
  const file = begin();
  file.write(content.subarray(0, 1000));
  file.write(content.subarray(1000));
  expect(await store.list('data')).toEqual([]);
  expect(filesThere()).toEqual([expect.stringMatching(/^tmp-/)]);
  await file.finish(name);
  expect(await store.list('data')).toMatchObject([{ name, sizeBytes: content.length }]);
  expect((await store.load('data', name)).equals(content)).toBe(true);
  expect(statSync(join(location, 'data', name.slice(0, 2), name)).mode & 0o777).toBe(0o600);
  file.abandon();
  expect(filesThere()).toEqual([name]);
  // Twice, as with `save`.
  const again = begin();
  again.write(content);
  await again.finish(name);
  expect(filesThere()).toEqual([name]);
});

test('nothing is left of a file that is abandoned, or cannot get its name', async () => {
  const abandoned = begin();
  abandoned.write(content);
  abandoned.abandon();
  abandoned.abandon();
  expect(filesThere()).toEqual([]);
  const misnamed = begin();
  misnamed.write(content);
  await expect(misnamed.finish('../config')).rejects.toMatchObject({ code: 'failed' });
  mkdirSync(join(location, 'data', name.slice(0, 2), name, 'inside'), { recursive: true });
  const blocked = begin();
  blocked.write(content);
  await expect(blocked.finish(name)).rejects.toMatchObject({ code: 'failed' });
  expect(filesThere()).toEqual([]);
});

test('a file sent as it is made gets the folders that a copy left out, but not in a missing repository', async () => {
  rmSync(join(location, 'data'), { recursive: true });
  const file = begin();
  file.write(content);
  await file.finish(name);
  expect(await store.list('data')).toMatchObject([{ name, sizeBytes: content.length }]);
  rmSync(join(location, 'data'), { recursive: true });
  const late = begin();
  late.write(content);
  rmSync(join(location, 'config'));
  await expect(late.finish(name)).rejects.toMatchObject({ code: 'not-found' });
  expect(existsSync(join(location, 'data'))).toBe(false);
  expect(filesThere()).toEqual([]);
  rmSync(location, { recursive: true });
  expect(() => store.begin?.()).toThrow(expect.objectContaining({ code: 'not-found' }));
  mkdirSync(location);
});

test('removing a file in the making is reported as such, and not as a missing repository', async () => {
  const file = begin();
  file.write(content);
  const [temporary = ''] = filesThere();
  for (const shard of readdirSync(join(location, 'data')))
    rmSync(join(location, 'data', shard, temporary), { force: true });
  await expect(file.finish(name)).rejects.toMatchObject({
    code: 'conflict',
    message: `A pack in the making was removed from repository "${location}"`,
  });
});

test('lists leave out files that do not belong to a repository', async () => {
  for (const foreign of [
    'tmp-1-0123456789abcdef',
    'README',
    `${name}.bak`,
    name.toUpperCase(),
    name.slice(1),
  ])
    writeFileSync(join(location, 'snapshots', foreign), 'x');
  mkdirSync(join(location, 'data', 'notes'));
  writeFileSync(join(location, 'data', 'notes', name), 'x');
  writeFileSync(join(location, 'data', name), 'x');
  expect(await store.list('snapshots')).toEqual([]);
  expect(await store.list('data')).toEqual([]);
});

test('a repository copied without its empty folders is complete, and gets them back', async () => {
  for (const folder of ['locks', 'snapshots', 'data']) rmSync(join(location, folder), { recursive: true });
  for (const type of ['locks', 'snapshots', 'data'] as const) {
    expect(await store.list(type)).toEqual([]);
    await store.save(type, name, content);
    expect(await store.list(type)).toMatchObject([{ name, sizeBytes: content.length }]);
  }
});

test('a missing repository is not an empty one, and is not created anew', async () => {
  await store.save('snapshots', name, content);
  rmSync(location, { recursive: true });
  mkdirSync(location);
  await expect(store.list('snapshots')).rejects.toMatchObject({ code: 'not-found' });
  await expect(store.list('data')).rejects.toMatchObject({ code: 'not-found' });
  await expect(store.load('snapshots', name)).rejects.toMatchObject({ code: 'not-found' });
  await expect(store.save('data', name, content)).rejects.toMatchObject({ code: 'not-found' });
  expect(readdirSync(location)).toEqual([]);
});

test('only old leftovers of dead processes are removed, and only without another lock', async () => {
  const old = new Date(Date.now() - 2 * 60 * 60_000);
  const dead = 4_194_305;
  const make = (path: string, time: Date | undefined): string => {
    const full = join(location, path);
    writeFileSync(full, 'x');
    if (time) utimesSync(full, time, time);
    return full;
  };
  const removed = [
    make(`data/00/tmp-${dead}-0123456789abcdef`, old),
    make(`snapshots/tmp-${dead}-0123456789abcdef`, old),
    make(`tmp-${dead}-0123456789abcdef`, old),
  ];
  const kept = [
    make(`data/00/tmp-${dead}-1123456789abcdef`, undefined),
    make(`data/00/tmp-${process.pid}-0123456789abcdef`, old),
    make('data/00/tmp-mine', old),
    make(`data/${name.slice(0, 2)}/${name}`, old),
  ];
  await store.save('locks', name, content);
  const ofAnother = 'f'.repeat(64);
  await store.save('locks', ofAnother, content);
  await store.removeLeftovers?.();
  for (const path of removed) expect(existsSync(path)).toBe(true);
  await store.remove('locks', ofAnother);
  await store.removeLeftovers?.();
  for (const path of removed) expect(existsSync(path)).toBe(false);
  for (const path of kept) expect(existsSync(path)).toBe(true);
});

test.runIf(process.getuid?.() === 0)('permission that is missing is said in words', async () => {
  await store.save('snapshots', name, content);
  chmodSync(join(location, 'snapshots'), 0);
  chmodSync(location, 0o755);
  process.seteuid?.(65534);
  try {
    await expect(store.list('snapshots')).rejects.toMatchObject({ code: 'denied' });
    await expect(store.save('index', name, content)).rejects.toMatchObject({ code: 'denied' });
    await expect(store.load('snapshots', name)).rejects.toMatchObject({
      code: 'denied',
      message: `Cannot use repository "${location}": permission denied`,
    });
  } finally {
    process.seteuid?.(0);
    chmodSync(join(location, 'snapshots'), 0o700);
  }
});
