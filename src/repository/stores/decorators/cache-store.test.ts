import { hash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../store.ts';
import { describeStore } from '../../../../test/suites/store-suite.ts';
import { cacheStore } from './cache-store.ts';
import { openTestStore, type TestStore } from '../../../../test/fixtures/test-stores.ts';

describeStore({
  name: 'cached',
  async open() {
    const plain = openTestStore();
    return {
      store: cacheStore(plain.store, { directory: join(plain.folder, 'cache'), maxBytes: 1e9 }),
      [Symbol.asyncDispose]: async () => plain[Symbol.dispose](),
    };
  },
});

const trees = { holds: 'trees' } as const;
const range = { offset: 100, length: 50 };

describe('cacheStore()', () => {
  let plain: TestStore;
  let directory: string;
  let store: Store;
  beforeEach(async () => {
    plain = openTestStore();
    directory = join(plain.folder, 'cache');
    store = openAnew();
    await plain.store.create();
    await plain.store.save('config', '', Buffer.from('config'));
    plain.calls.length = 0;
  });
  afterEach(() => plain[Symbol.dispose]());

  /** Opens the cache as another process, or the next command, would. */
  const openAnew = (maxBytes = 1e9): Store => cacheStore(plain.store, { directory, maxBytes });
  const loads = (): number => plain.calls.filter((call) => call.startsWith('load')).length;

  function file(length = 1000): { name: string; content: Buffer } {
    const content = randomBytes(length);
    return { name: hash('sha256', content), content };
  }

  test.each(['index', 'snapshots'] as const)(
    'a file of "%s" is loaded once, by whichever process',
    async (type) => {
      const { name, content } = file();
      await plain.store.save(type, name, content);
      for (let i = 0; i < 3; i++) expect((await store.load(type, name)).equals(content)).toBe(true);
      expect((await openAnew().load(type, name)).equals(content)).toBe(true);
      expect(loads()).toBe(1);
    },
  );

  test('saved files need not be loaded', async () => {
    const [index, pack] = [file(), file()];
    await store.save('index', index.name, index.content);
    await store.save('data', pack.name, pack.content, trees);
    expect((await store.load('index', index.name)).equals(index.content)).toBe(true);
    expect(
      (await openAnew().load('data', pack.name, range, trees)).equals(pack.content.subarray(100, 150)),
    ).toBe(true);
    expect(loads()).toBe(0);
  });

  test('the first part of a pack of trees brings all of it, for any number that ask at once', async () => {
    const { name, content } = file(200_000);
    await plain.store.save('data', name, content);
    const parts = await Promise.all(
      [0, 1, 2, 3].map((i) => store.load('data', name, { offset: i * 1000, length: 1000 }, trees)),
    );
    expect(Buffer.concat(parts).equals(content.subarray(0, 4000))).toBe(true);
    // The caller owns the part, and may decrypt it in place.
    parts[0]?.fill(0);
    expect(
      (await store.load('data', name, { offset: 0, length: 1000 }, trees)).equals(content.subarray(0, 1000)),
    ).toBe(true);
    expect(loads()).toBe(1);
  });

  test('packs of data, keys and locks leave nothing behind', async () => {
    const { name, content } = file();
    for (const type of ['data', 'keys', 'locks'] as const) {
      await store.save(type, name, content);
      await store.load(type, name);
      await store.load(type, name, range);
    }
    expect(loads()).toBe(6);
    expect(existsSync(directory)).toBe(false);
  });

  test.each([
    ['other bytes', (path: string) => writeFileSync(path, randomBytes(1000))],
    ['fewer bytes', (path: string) => truncateSync(path, 120)],
    ['nothing', (path: string) => writeFileSync(path, '')],
  ])('a copy that holds %s is loaded anew, and put right', async (_, spoil) => {
    const [index, pack] = [file(), file()];
    await plain.store.save('index', index.name, index.content);
    await plain.store.save('data', pack.name, pack.content);
    await store.load('index', index.name);
    await store.load('data', pack.name, range, trees);
    spoil(join(directory, 'index', index.name));
    spoil(join(directory, 'data', pack.name.slice(0, 2), pack.name));
    for (const opened of [store, openAnew()]) {
      expect((await opened.load('index', index.name)).equals(index.content)).toBe(true);
      const part = await opened.load('data', pack.name, range, trees);
      expect(part.equals(pack.content.subarray(100, 150))).toBe(true);
    }
    expect(loads()).toBe(4);
    expect(readFileSync(join(directory, 'index', index.name)).equals(index.content)).toBe(true);
  });

  test('a file damaged in the store is passed on unchanged, and not cached', async () => {
    const { name, content } = file();
    const damaged = Buffer.from(content);
    damaged[5] = ~(damaged[5] ?? 0);
    await plain.store.save('index', name, damaged);
    await plain.store.save('data', name, damaged);
    expect((await store.load('index', name)).equals(damaged)).toBe(true);
    expect((await store.load('data', name, range, trees)).equals(damaged.subarray(100, 150))).toBe(true);
    await expect(store.load('data', name, { offset: 990, length: 20 }, trees)).rejects.toMatchObject({
      code: 'integrity',
    });
    expect(existsSync(join(directory, 'index', name))).toBe(false);
  });

  test('a list removes copies of files that the repository no longer has', async () => {
    const [kept, gone] = [file(), file()];
    for (const { name, content } of [kept, gone]) await store.save('snapshots', name, content);
    await plain.store.remove('snapshots', gone.name);
    expect(await store.list('snapshots')).toHaveLength(1);
    expect(readdirSync(join(directory, 'snapshots'))).toEqual([kept.name]);
    await store.remove('snapshots', kept.name);
    expect(readdirSync(join(directory, 'snapshots'))).toEqual([]);
    await expect(store.load('snapshots', kept.name)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('the cache stays within its size, and removes the least recently used first', async () => {
    const small = openAnew(100_000);
    const files = Array.from({ length: 40 }, () => file(10_000));
    for (const [age, { name, content }] of files.entries()) {
      await small.save('data', name, content, trees);
      const path = join(directory, 'data', name.slice(0, 2), name);
      const time = new Date(Date.now() - (files.length - age) * 60_000);
      if (existsSync(path)) utimesSync(path, time, time);
    }
    const left = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const bytes = left.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
    expect(bytes).toBeLessThanOrEqual(110_000);
    expect(bytes).toBeGreaterThan(50_000);
    expect(left.map(({ name }) => name)).toContain(files.at(-1)?.name);
    expect(left.map(({ name }) => name)).not.toContain(files[0]?.name);
  });

  test('a folder that cannot be written to works like no cache', async () => {
    const { name, content } = file();
    writeFileSync(directory, 'a file where the folder should be');
    await store.save('index', name, content);
    expect((await store.load('index', name)).equals(content)).toBe(true);
    expect((await store.load('index', name)).equals(content)).toBe(true);
    expect(loads()).toBe(2);
  });

  test('several that fill one folder at once do not disturb each other', async () => {
    const files = Array.from({ length: 20 }, () => file(5000));
    for (const { name, content } of files) await plain.store.save('data', name, content);
    const stores = [openAnew(30_000), openAnew(30_000), openAnew(30_000)];
    await Promise.all(
      stores.map(async (opened) => {
        for (let round = 0; round < 3; round++) {
          for (const { name, content } of files) {
            const part = await opened.load('data', name, range, trees);
            expect(part.equals(content.subarray(100, 150))).toBe(true);
          }
        }
      }),
    );
  });

  test('partial files of other processes are removed in time, and never read', async () => {
    const { name, content } = file();
    mkdirSync(join(directory, 'index'), { recursive: true });
    const half = join(directory, 'index', `${name}.tmp-1-00aa00aa00aa`);
    writeFileSync(half, 'half');
    utimesSync(half, new Date(0), new Date(0));
    await store.save('index', name, content);
    expect(existsSync(half)).toBe(false);
    expect(existsSync(join(directory, 'index', name))).toBe(true);
  });

  test('"direct" reads the store itself', async () => {
    const { name, content } = file();
    await store.save('index', name, content);
    await plain.store.remove('index', name);
    expect((await store.load('index', name)).equals(content)).toBe(true);
    await expect(store.direct?.load('index', name)).rejects.toMatchObject({ code: 'not-found' });
  });
});
