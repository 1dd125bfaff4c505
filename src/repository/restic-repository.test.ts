import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import { loadSnapshot, saveSnapshot } from './format/snapshot-file.ts';
import { lockRepository } from './lock.ts';
import {
  allOf,
  openFreshRepository,
  type TestRepository,
  testVolume,
} from '../../test/fixtures/open-repository.ts';
import { HandmadeSnapshot } from '../../test/fixtures/save-by-hand.ts';

let opened: TestRepository;
let source: string;

beforeEach(async () => {
  opened = await openFreshRepository();
  source = mkdtempSync(join(tmpdir(), 'source-'));
  return async () => {
    rmSync(source, { recursive: true });
    await opened[Symbol.asyncDispose]();
  };
});

async function saved(more: Parameters<TestRepository['save']>[1] = {}): Promise<Snapshot> {
  const { snapshot } = await opened.save(source, more);
  if (!snapshot) throw new Error('Nothing was saved');
  return snapshot;
}

describe('listSnapshots()', () => {
  test('lists the oldest first, independent of ids', async () => {
    const times = [5_000, 1_000, 3_000, 2_000, 4_000];
    for (const timeMs of times) await saved({ timeMs });
    const found = await opened.repository.listSnapshots();
    expect(found.map(({ time }) => Date.parse(time))).toEqual([1_000, 2_000, 3_000, 4_000, 5_000]);
  });

  test('leaves out a damaged one, and reports it', async () => {
    const whole = await saved();
    const damaged = await saved();
    writeFileSync(join(opened.location, 'snapshots', damaged.id), 'damaged');
    const told: string[] = [];
    const found = await opened.repository.listSnapshots({ onDamaged: (id) => told.push(id) });
    expect(found.map(({ id }) => id)).toEqual([whole.id]);
    expect(told).toEqual([damaged.id]);
  });

  test('knows the volume of one whose record another program dropped', async () => {
    const snapshot = await saved({ volume: { ...testVolume, name: 'odd/name%' } });
    const { holdfast: _, ...json } = await loadSnapshot(opened.codec, snapshot.id);
    await opened.repository.removeSnapshot(snapshot.id);
    const id = await saveSnapshot(opened.codec, { ...json, tags: ['new'] });
    const [found] = await opened.repository.listSnapshots();
    expect(found).toMatchObject({
      id,
      tags: ['new'],
      name: 'odd/name%',
      volume: { identity: 'identity-of-data' },
    });
    expect((await opened.walk(found)).map(({ path }) => path)).toEqual(['']);
  });

  test('finds it for a snapshot saved after the index was read, too', async () => {
    await opened.walk(await saved());
    const later = await saved({ volume: { ...testVolume, identity: 'identity-of-later' } });
    const { holdfast: _, ...json } = await loadSnapshot(opened.codec, later.id);
    const id = await saveSnapshot(opened.codec, { ...json, tags: ['new'] });
    const found = (await opened.repository.listSnapshots()).find((snapshot) => snapshot.id === id);
    expect(found?.volume?.identity).toBe('identity-of-later');
  });

  test('ignores an invalid description', async () => {
    const made = new HandmadeSnapshot(opened.codec);
    const content = made.blob('data', '{"kind":"volume"');
    const data = { name: 'data', type: 'dir', subtree: made.tree([]) };
    const beside = { name: 'data.holdfast.json', type: 'file', size: 16, content: [content] };
    const root = made.tree([{ name: 'volume', type: 'dir', subtree: made.tree([data, beside]) }]);
    const { id } = await made.save(root);
    const json = await loadSnapshot(opened.codec, id);
    await opened.repository.removeSnapshot(id);
    await saveSnapshot(opened.codec, { ...json, paths: ['/volume/data'] });
    const [found] = await opened.repository.listSnapshots();
    expect(found).toMatchObject({ name: '/volume/data', volume: undefined });
  });
});

describe('walk() and readFile()', () => {
  beforeEach(() => {
    mkdirSync(join(source, 'a/b'), { recursive: true });
    writeFileSync(join(source, 'a/b/c'), 'deep');
    writeFileSync(join(source, 'a/z'), '');
    writeFileSync(join(source, 'b'), randomBytes(9_000_000));
  });

  test.each([
    ['', undefined, ['', 'a', 'a/b', 'a/b/c', 'a/z', 'b']],
    ['', 0, ['']],
    ['', 1, ['', 'a', 'b']],
    ['', 2, ['', 'a', 'a/b', 'a/z', 'b']],
    ['a', undefined, ['', 'b', 'b/c', 'z']],
    ['a/b/c', undefined, ['']],
  ])('walk(%j) with depth %j gives %j', async (path, depth, expected) => {
    const walk = opened.repository.walk(await saved(), path, depth === undefined ? {} : { depth });
    expect((await allOf(walk)).map((entry) => entry.path)).toEqual(expected);
  });

  test.each(['nothing', 'a/nothing', 'b/below', '..', 'a/../b', '.'])('there is no %j', async (path) => {
    await expect(allOf(opened.repository.walk(await saved(), path))).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  test('a file is read in pieces, completely and verified', async () => {
    const snapshot = await saved();
    const [entry] = await allOf(opened.repository.walk(snapshot, 'b'));
    if (!entry) throw new Error('There is no "b"');
    const pieces = await allOf(opened.repository.readFile(snapshot, entry));
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.reduce((sum, piece) => sum + piece.length, 0)).toBe(9_000_000);
    const [directory] = await allOf(opened.repository.walk(snapshot, 'a'));
    if (!directory) throw new Error('There is no "a"');
    await expect(allOf(opened.repository.readFile(snapshot, directory))).rejects.toMatchObject({
      code: 'usage',
    });
  });

  test('a walk can be cancelled', async () => {
    const walk = opened.repository.walk(await saved(), '', { signal: AbortSignal.abort() });
    await expect(allOf(walk)).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('two files and directories have the same key when they have the same content', async () => {
    mkdirSync(join(source, 'copy/b'), { recursive: true });
    writeFileSync(join(source, 'copy/c'), 'deep');
    const entries = await opened.walk(await saved());
    const key = (path: string): string | undefined =>
      entries.find((entry) => entry.path === path)?.contentKey;
    expect(key('copy/c')).toBe(key('a/b/c'));
    expect(key('copy/c')).not.toBe(key('b'));
    expect(key('a/z')).toBe('');
  });

  test('everything below a snapshot of another program is walked from its root', async () => {
    const made = new HandmadeSnapshot(opened.codec);
    const subtree = made.tree([{ name: 'passwd', type: 'file' }]);
    const snapshot = await made.save(made.tree([{ name: 'etc', type: 'dir', subtree }]));
    expect((await opened.walk(snapshot)).map(({ path }) => path)).toEqual(['', 'etc', 'etc/passwd']);
  });
});

test('removeSnapshot() removes one, needs the repository for itself, and can be repeated', async () => {
  const [kept, removed] = [await saved(), await saved()];
  await opened.repository.removeSnapshot(removed.id);
  await opened.repository.removeSnapshot(removed.id);
  expect((await opened.repository.listSnapshots()).map(({ id }) => id)).toEqual([kept.id]);
  let attempt: Promise<unknown> | undefined;
  await saved({
    grade: async () => {
      attempt = opened.repository.removeSnapshot(kept.id);
      await expect(attempt).rejects.toMatchObject({ code: 'locked' });
      return 'cold';
    },
  });
  expect(attempt).toBeDefined();
  expect(await opened.repository.listSnapshots()).toHaveLength(2);
});

test('a save removes leftovers of killed writes, unless another lock may belong to their writer', async () => {
  const leftover = join(opened.location, 'data/00/tmp-4194305-0123456789abcdef');
  writeFileSync(leftover, 'half of a pack');
  const hoursAgo = Date.now() / 1000 - 3 * 3600;
  utimesSync(leftover, hoursAgo, hoursAgo);
  await using other = await lockRepository(opened.codec, { exclusive: false });
  await saved();
  expect(existsSync(leftover)).toBe(true);
  await other[Symbol.asyncDispose]();
  await saved();
  expect(existsSync(leftover)).toBe(false);
});
