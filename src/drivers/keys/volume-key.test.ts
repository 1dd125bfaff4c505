import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DriverVolume } from '../driver.ts';
import { checkKeyReference, openKeyWraps } from './key-wraps.ts';
import { openVolumeKeys, type VolumeKeys } from './volume-key.ts';

let folder: string;
let secrets: Record<string, string>;
let keys: VolumeKeys;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keys-'));
  secrets = { 'env:ONE': 'one', 'env:TWO': 'two' };
  const secret = async (reference: string): Promise<Uint8Array> => Buffer.from(secrets[reference] ?? '');
  keys = openVolumeKeys(openKeyWraps({ stateDir: join(folder, 'state'), secret }));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const volume = (options: Record<string, string> = {}): DriverVolume => ({
  name: 'some-volume',
  options,
  folder,
  mountpoint: join(folder, '_data'),
});

describe('the key of a volume', () => {
  test.each([{}, { key: 'env:ONE' }])('is random, stays, and is nowhere on disk with %j', async (options) => {
    const key = await keys.create(volume(options));
    expect(Buffer.from(key, 'base64url')).toHaveLength(48);
    expect(await keys.create(volume(options))).toBe(key);
    expect(await keys.read(volume())).toBe(key);
    const text = await readFile(join(folder, 'key.json'), 'utf8');
    expect(text).not.toContain(key);
    expect(text).not.toContain('"one"');
    expect((await stat(join(folder, 'key.json'))).mode & 0o777).toBe(0o600);
  });

  test('is not opened by another secret than the one that wrapped it', async () => {
    await keys.create(volume({ key: 'env:ONE' }));
    secrets['env:ONE'] = 'another';
    await expect(keys.read(volume())).rejects.toMatchObject({ code: 'wrong-password' });
  });

  test('cannot be read without the master key, and no other one is created in its place', async () => {
    await keys.create(volume());
    await rm(join(folder, 'state/keys/volumes.key'));
    await expect(keys.read(volume())).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('volumes.key') as string,
    });
    expect(await readdir(join(folder, 'state/keys'))).toEqual([]);
  });

  test('that is truncated or missing is named', async () => {
    await keys.create(volume());
    await truncate(join(folder, 'key.json'), 40);
    await expect(keys.read(volume())).rejects.toMatchObject({ code: 'integrity' });
    await writeFile(join(folder, 'key.json'), '{}');
    await expect(keys.read(volume())).rejects.toMatchObject({ code: 'integrity' });
    await rm(join(folder, 'key.json'));
    await expect(keys.read(volume())).rejects.toMatchObject({ code: 'integrity' });
  });

  test('is looked at without reading a secret that can be read only once, and names a file that is gone', async () => {
    const path = join(folder, 'wrap');
    const asked: string[] = [];
    const secret = async (reference: string): Promise<Uint8Array> => {
      asked.push(reference);
      return await readFile(path);
    };
    const own = openVolumeKeys(openKeyWraps({ stateDir: join(folder, 'state'), secret }));
    await writeFile(path, 'secret');
    await own.create(volume({ key: `file:${path}` }));
    expect(await own.lack(volume())).toBeUndefined();
    await rm(path);
    expect(await own.lack(volume())).toContain('ENOENT');
    execFileSync('mkfifo', [path]);
    asked.length = 0;
    expect(await own.lack(volume())).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test('changes in two steps: both are there until the new one is accepted', async () => {
    const first = await keys.create(volume());
    const { now, next } = await keys.prepareNext(volume(), 'env:TWO');
    expect(now).toBe(first);
    expect(next).not.toBe(first);
    expect(await keys.read(volume())).toBe(first);
    expect(await keys.readNext(volume())).toBe(next);
    await keys.accept(volume());
    expect(await keys.read(volume())).toBe(next);
    expect(await keys.readNext(volume())).toBeUndefined();
    expect(JSON.parse(await readFile(join(folder, 'key.json'), 'utf8'))).toMatchObject({
      wrappedBy: 'env:TWO',
    });
  });

  test('that was accepted leaves no copy of the old one, and a second acceptance takes nothing away', async () => {
    await keys.create(volume());
    const { next } = await keys.prepareNext(volume(), undefined);
    await keys.accept(volume());
    await expect(keys.accept(volume())).rejects.toThrow('key-next.json');
    expect(await keys.read(volume())).toBe(next);
    expect((await readdir(folder)).toSorted()).toEqual(['key.json', 'state']);
  });

  test('is destroyed with all that was prepared', async () => {
    await keys.create(volume());
    await keys.prepareNext(volume(), undefined);
    await keys.destroy(volume());
    await keys.destroy(volume());
    expect((await readdir(folder)).toSorted()).toEqual(['state']);
  });
});

test.each(['hunter2', 'file:relative', 'env:', 'exec:', 'env:1X'])(
  '"%s" is no reference to a key',
  (text) => {
    expect(() => checkKeyReference(text)).toThrow('neither "master" nor a reference');
  },
);

test.each(['master', 'file:/run/secrets/key', 'env:KEY', 'exec:pass show x'])(
  '"%s" is a reference',
  (text) => {
    expect(() => checkKeyReference(text)).not.toThrow();
  },
);
