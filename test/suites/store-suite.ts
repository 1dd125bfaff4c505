import { hash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Room } from '../../src/repository/lib/room.ts';
import type { FileType, Store } from '../../src/repository/stores/store.ts';

/** A kind of store under test. */
export interface StoreSubject {
  readonly name: string;
  /** An empty place with a store in which nothing was created yet. */
  readonly open: () => Promise<{ readonly store: Store } & AsyncDisposable>;
  /** Its server cannot refuse the second of two concurrent configs. */
  readonly lastConfigStays?: boolean;
}

const namedTypes: readonly FileType[] = ['keys', 'locks', 'snapshots', 'index', 'data'];

/** The contract of stores, for every implementation. */
export function describeStore({ name: kind, open, lastConfigStays }: StoreSubject): void {
  describe(`store "${kind}"`, () => {
    test('an empty place holds no repository, and an error says so', async () => {
      await using place = await open();
      expect(await place.store.exists('config', '')).toBe(false);
      await expect(place.store.load('config', '')).rejects.toMatchObject({ code: 'not-found' });
      for (const type of namedTypes)
        await expect(place.store.list(type)).rejects.toMatchObject({ code: 'not-found' });
    });

    test('nothing is saved where no repository has been made, and nothing is made on the way', async () => {
      await using place = await open();
      const { name, content } = file();
      for (const type of namedTypes)
        await expect(place.store.save(type, name, content)).rejects.toMatchObject({ code: 'not-found' });
      expect(await place.store.exists('config', '')).toBe(false);
    });

    test('create() makes an empty layout, can be repeated, and refuses where there is a config', async () => {
      await using place = await open();
      const { store } = place;
      await store.create();
      await store.create();
      for (const type of [...namedTypes, 'config'] as const) expect(await store.list(type)).toEqual([]);
      await store.save('config', '', Buffer.from('config'));
      expect(await store.list('config')).toHaveLength(1);
      await expect(store.create()).rejects.toMatchObject({ code: 'exists' });
      expect(await store.load('config', '')).toEqual(Buffer.from('config'));
    });

    test('an existing config is not replaced by another', async () => {
      await using place = await openMade(open);
      await place.store.save('config', '', Buffer.from('config'));
      await expect(place.store.save('config', '', Buffer.from('other!'))).rejects.toMatchObject({
        code: 'exists',
      });
      expect(await place.store.load('config', '')).toEqual(Buffer.from('config'));
    });

    if (lastConfigStays !== true)
      test('of two configs at the same moment one is refused', async () => {
        for (let round = 0; round < 4; round++) {
          await using place = await open();
          const { store } = place;
          await store.create();
          const contents = ['one', 'other'].map((text) => Buffer.from(text));
          const saved = await Promise.allSettled(
            contents.map((content) => store.save('config', '', content)),
          );
          const won = saved.findIndex(({ status }) => status === 'fulfilled');
          expect(saved[1 - won]).toMatchObject({ status: 'rejected', reason: { code: 'exists' } });
          expect(await store.load('config', '')).toEqual(contents[won]);
        }
      });

    test.each(namedTypes)('a file of "%s" is stored, listed, loaded and removed', async (type) => {
      await using place = await openMade(open);
      const { store } = place;
      const [first, second] = [file(), file(5000)];
      await store.save(type, first.name, first.content);
      await store.save(type, second.name, second.content);
      expect(sorted(await store.list(type))).toMatchObject(
        sorted([
          { name: first.name, sizeBytes: first.content.length },
          { name: second.name, sizeBytes: second.content.length },
        ]),
      );
      expect(await store.exists(type, first.name)).toBe(true);
      expect((await store.load(type, second.name)).equals(second.content)).toBe(true);

      await store.remove(type, first.name);
      await store.remove(type, first.name);
      expect(await store.exists(type, first.name)).toBe(false);
      await expect(store.load(type, first.name)).rejects.toMatchObject({ code: 'not-found' });
      expect(await store.list(type)).toMatchObject([{ name: second.name, sizeBytes: second.content.length }]);
      for (const other of namedTypes.filter((candidate) => candidate !== type))
        expect(await store.list(other)).toEqual([]);
    });

    test('a file that was just written has the current time by the clock of the store, if it has one', async () => {
      await using place = await openMade(open);
      const { name, content } = file();
      await place.store.save('locks', name, content);
      const { nowMs = 0, writtenMs = nowMs } = (await place.store.times?.('locks', name)) ?? {};
      expect(Math.abs(nowMs - writtenMs)).toBeLessThan(10 * 60_000);
      expect(Math.abs(nowMs - Date.now())).toBeLessThan(10 * 60_000);
      await expect(place.store.times?.('locks', file().name)).rejects.toMatchObject({ code: 'not-found' });
      expect(await place.store.list('locks')).toHaveLength(1);
    });

    test('saving a file again is harmless', async () => {
      await using place = await openMade(open);
      const { name, content } = file();
      await Promise.all([1, 2, 3, 4].map(() => place.store.save('data', name, content)));
      await place.store.save('data', name, content);
      expect(await place.store.list('data')).toHaveLength(1);
      expect((await place.store.load('data', name)).equals(content)).toBe(true);
    });

    test('an empty file and a large one survive', async () => {
      await using place = await openMade(open);
      for (const length of [0, 1, 20_000_000]) {
        const { name, content } = file(length);
        await place.store.save('data', name, content);
        expect((await place.store.load('data', name)).equals(content)).toBe(true);
      }
    });

    test('the content of a buffer at the call of save is what is stored', async () => {
      await using place = await openMade(open);
      const pool = randomBytes(10_000);
      const content = pool.subarray(1000, 3000);
      const copy = Buffer.from(content);
      const name = hash('sha256', content);
      await place.store.save('data', name, content);
      pool.fill(0);
      expect((await place.store.load('data', name)).equals(copy)).toBe(true);
    });

    test('a range is exact, small or large, in the given room or its own', async () => {
      await using place = await openMade(open);
      const { name, content } = file(1_000_000);
      await place.store.save('data', name, content);
      const room = new Room();
      for (const [offset, length] of [
        [0, 1],
        [999_999, 1],
        [10, 0],
        [123, 456_789],
        [0, 1_000_000],
      ] as const) {
        const expected = content.subarray(offset, offset + length);
        expect((await place.store.load('data', name, { offset, length })).equals(expected)).toBe(true);
        expect((await place.store.load('data', name, { offset, length }, { room })).equals(expected)).toBe(
          true,
        );
      }
      expect((await place.store.load('data', name, undefined, { room })).equals(content)).toBe(true);
    });

    test('a range that a file is too short for is damage, and no short answer', async () => {
      await using place = await openMade(open);
      const { name, content } = file(200_000);
      await place.store.save('data', name, content);
      for (const range of [
        { offset: 199_999, length: 2 },
        { offset: 200_000, length: 1 },
        { offset: 0, length: 200_001 },
        { offset: 5_000_000, length: 150_000 },
      ]) {
        await expect(place.store.load('data', name, range)).rejects.toMatchObject({ code: 'integrity' });
      }
    });

    test('names that are no names of files are refused, and lead nowhere', async () => {
      await using place = await openMade(open);
      for (const name of ['', 'config', '../config', 'a'.repeat(63), `${'a'.repeat(63)}/`, 'A'.repeat(64)]) {
        const { store } = place;
        await expect(store.save('data', name, Buffer.from('x'))).rejects.toMatchObject({ code: 'failed' });
        await expect(store.load('keys', name)).rejects.toMatchObject({ code: 'failed' });
        await expect(store.remove('snapshots', name)).rejects.toMatchObject({ code: 'failed' });
      }
    });

    test('a cancelled call does nothing and throws that it was cancelled', async () => {
      await using place = await openMade(open);
      const { name, content } = file();
      const options = { signal: AbortSignal.abort() };
      await expect(place.store.save('data', name, content, options)).rejects.toMatchObject({
        code: 'cancelled',
      });
      expect(await place.store.list('data')).toEqual([]);
      await place.store.save('data', name, content);
      for (const call of [
        place.store.load('data', name, undefined, options),
        place.store.list('data', options),
        place.store.remove('data', name, options),
      ]) {
        await expect(call).rejects.toMatchObject({ code: 'cancelled' });
      }
      expect(await place.store.list('data')).toHaveLength(1);
    });

    test('files can be listed while others are added and removed', async () => {
      await using place = await openMade(open);
      const { store } = place;
      const kept = file();
      await store.save('locks', kept.name, kept.content);
      const churn = async (): Promise<void> => {
        for (let i = 0; i < 30; i++) {
          const { name, content } = file();
          await store.save('locks', name, content);
          await store.remove('locks', name);
        }
      };
      const lists = async (): Promise<void> => {
        for (let i = 0; i < 60; i++)
          expect((await store.list('locks')).map(({ name }) => name)).toContain(kept.name);
      };
      await Promise.all([churn(), churn(), lists()]);
    });
  });
}

async function openMade(open: StoreSubject['open']): Promise<{ readonly store: Store } & AsyncDisposable> {
  const place = await open();
  await place.store.create();
  await place.store.save('config', '', Buffer.from('config'));
  return place;
}

function file(length = 1000): { name: string; content: Buffer } {
  const content = randomBytes(length);
  return { name: hash('sha256', content), content };
}

function sorted<T extends { readonly name: string }>(files: readonly T[]): T[] {
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
