import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { allOf, openFreshRepository, type TestRepository } from '../../../test/fixtures/open-repository.ts';

let folder: string;
let source: TestRepository;
let target: TestRepository;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'copy-'));
  [source, target] = [await openFreshRepository(), await openFreshRepository()];
  return async () => {
    await source[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
});

async function save(name: string): Promise<string> {
  const root = join(folder, name);
  for (const directory of ['a', 'b/deep']) {
    mkdirSync(join(root, directory), { recursive: true });
    for (let i = 0; i < 20; i++)
      writeFileSync(join(root, directory, `f${i}`), `${directory} ${i}\n`.repeat(i * 50));
  }
  writeFileSync(join(root, 'large'), randomBytes(5_000_000));
  writeFileSync(join(root, 'empty'), '');
  const [parent] = (await source.repository.listSnapshots()).slice(-1);
  const { snapshot } = await source.save(root, { parent });
  return snapshot?.id ?? '';
}

/** Everything that a repository returns, with the content. */
async function everything({ repository }: TestRepository): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const snapshot of await repository.listSnapshots()) {
    const { time, name, tags, grade, summary, problemCount, volume } = snapshot;
    found.push({ time, name, tags, grade, summary, problemCount, volume });
    for await (const entry of repository.walk(snapshot, '')) {
      const content =
        entry.type === 'file' ? Buffer.concat(await allOf(repository.readFile(snapshot, entry))) : undefined;
      found.push(entry.path, entry.mode, entry.mtimeNs, content?.toString('base64'));
    }
  }
  return found;
}

function dataBytes({ location }: TestRepository): number {
  return filesOf(location, 'data').reduce((sum, path) => sum + readFileSync(path).length, 0);
}

function filesOf(location: string, type: string): string[] {
  return readdirSync(join(location, type), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(location, type, name))
    .sort();
}

test('a copy under another key is equal, and the target passes a check', async () => {
  const [first, second] = [await save('one'), await save('two')];
  expect(source.repository.polynomial).not.toBe(target.repository.polynomial);
  const dry = await source.repository.copyTo(target.repository, { dryRun: true });
  expect(dry.copied.map(({ id }) => id)).toEqual([first, second]);
  expect(filesOf(target.location, 'data')).toEqual([]);

  const report = await source.repository.copyTo(target.repository);
  expect(report).toMatchObject({ failed: [], present: [] });
  expect(report.copied.map(({ id }) => id)).toEqual([first, second]);
  expect(await everything(target)).toEqual(await everything(source));
  expect((await target.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  const [, newSecond] = report.copied;
  const json = await loadSnapshot(target.codec, newSecond?.newId ?? '');
  expect(json).toMatchObject({ original: second, parent: report.copied[0]?.newId });
  for (const { location } of [source, target]) expect(filesOf(location, 'locks')).toEqual([]);
});

test('a second copy transfers only what is new', async () => {
  await save('one');
  await source.repository.copyTo(target.repository);
  const packs = filesOf(target.location, 'data');
  const again = await source.repository.copyTo(target.repository);
  expect(again).toMatchObject({ copied: [], blobs: 0, bytes: 0 });
  expect(again.present).toHaveLength(1);
  expect(filesOf(target.location, 'data')).toEqual(packs);
  const before = dataBytes(target);
  const second = await save('one');
  const third = await source.repository.copyTo(target.repository, { snapshotIds: [second] });
  expect(third.copied.map(({ id }) => id)).toEqual([second]);
  // The large file is new; the small ones exist already.
  expect(dataBytes(target) - before).toBeLessThan(5_050_000);
});

test('snapshots go round: a copy of a copy is known where it came from', async () => {
  await save('one');
  await source.repository.copyTo(target.repository);
  const back = await target.repository.copyTo(source.repository);
  expect(back.copied).toEqual([]);
  expect(back.present).toHaveLength(1);
});

test('a snapshot whose data is damaged is named and left out, the others are copied', async () => {
  const first = await save('one');
  const packs = filesOf(source.location, 'data');
  const second = await save('two');
  const pack = filesOf(source.location, 'data')
    .filter((path) => !packs.includes(path))
    .toSorted((a, b) => readFileSync(b).length - readFileSync(a).length)[0];
  const bytes = readFileSync(pack ?? '');
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  writeFileSync(pack ?? '', bytes);
  const report = await source.repository.copyTo(target.repository);
  expect(report.copied.map(({ id }) => id)).toEqual([first]);
  expect(report.failed).toMatchObject([{ id: second, message: expect.stringContaining('is damaged') }]);
  expect((await target.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  expect(await target.repository.listSnapshots()).toHaveLength(1);
});

test('a missing tree fails only its own snapshots, and what they share with others is intact', async () => {
  const [first, second, third] = [await save('one'), await save('two'), await save('one')];
  const { tree } = await loadSnapshot(source.codec, second);
  const index = filesOf(source.location, 'index');
  expect(index.length).toBeGreaterThan(0);
  // The pack with the second root holds only trees of the second.
  const { loadBlobIndex } = await import('../blob-index/blob-index.ts');
  const place = (await loadBlobIndex(source.codec)).find(tree, 'tree');
  rmSync(join(source.location, 'data', place?.packId.slice(0, 2) ?? '', place?.packId ?? ''));
  const report = await source.repository.copyTo(target.repository);
  expect(report.copied.map(({ id }) => id)).toEqual([first, third]);
  expect(report.failed.map(({ id }) => id)).toEqual([second]);
  expect((await target.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
});

test('a cancel keeps copied data, and no partial snapshot', async () => {
  await save('one');
  const abort = new AbortController();
  const copy = source.repository.copyTo(target.repository, {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  abort.abort();
  await expect(copy).rejects.toMatchObject({ code: 'cancelled' });
  expect(await target.repository.listSnapshots()).toEqual([]);
  expect((await target.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  expect((await source.repository.copyTo(target.repository)).copied).toHaveLength(1);
});

test('a repository is not copied to itself', async () => {
  await expect(source.repository.copyTo(source.repository)).rejects.toMatchObject({ code: 'usage' });
});
