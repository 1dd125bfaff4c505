import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { digestTree } from '../tree-digest.ts';
import { pageBytes } from './database-page.ts';
import { type DataSetName, dataSetNames, makeDataSet } from './data-sets.ts';
import { changeDatabase, choosePages } from './make-database.ts';
import { planMedia } from './make-media.ts';
import { makeContent } from './make-tree.ts';
import { type FileKind, planTree } from './plan-tree.ts';
import { noiseOf, randomOf } from './random.ts';
import { textSourceOf } from './text-source.ts';

const { signal } = new AbortController();
const scale = 0.001;
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-data-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const make = async (name: DataSetName, place: string, seed: string) => {
  await makeDataSet(name, join(folder, place), { seed, scale, signal });
  return join(folder, place, name);
};

/** Names and bytes without times: the last file of a data set is written now. */
const contentOf = (root: string) => digestTree(root, signal, { withTimes: false });

it.each(dataSetNames)('makes the same %s from the same seed, and others from another', async (name) => {
  const [one, two, other] = [
    await make(name, 'a', 'x'),
    await make(name, 'b', 'x'),
    await make(name, 'c', 'y'),
  ];
  expect(await contentOf(two)).toEqual(await contentOf(one));
  expect((await contentOf(other)).digest).not.toBe((await contentOf(one)).digest);
});

it('plans as many files and about as many bytes as asked for, each path once', () => {
  const plan = planTree('x', { files: 5_000, bytes: 100e6 });
  expect(new Set(plan.files.map(({ path }) => path)).size).toBe(5_000);
  const bytes = plan.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(bytes).toBeGreaterThan(80e6);
  expect(bytes).toBeLessThan(120e6);
});

it('plans sizes of which most are small, and directories that are neither flat nor a chain', () => {
  const { files, directories } = planTree('x', { files: 5_000, bytes: 100e6 });
  const sizes = files.map(({ sizeBytes }) => sizeBytes).sort((a, b) => a - b);
  expect(sizes[2_500]).toBeLessThan(8_000);
  expect(sizes.at(-1)).toBeGreaterThan(500_000);
  const depths = directories.map((path) => path.split('/').length);
  expect(Math.max(...depths)).toBeLessThanOrEqual(9);
  expect(depths.filter((depth) => depth > 2).length).toBeGreaterThan(directories.length / 2);
  const made = new Set(['']);
  for (const path of directories) {
    expect(made).toContain(path.split('/').slice(0, -1).join('/'));
    made.add(path);
  }
});

it.each<[FileKind, number, number]>([
  ['text', 2.5, 6],
  ['program', 1.3, 2.5],
  ['picture', 0.9, 1.05],
])('fills a %s with bytes that gzip makes %f to %f times smaller', (kind, least, most) => {
  const file = { path: 'p', sizeBytes: 50_000, kind, contentSeed: 'x', mode: 0o644, modifiedSeconds: 0 };
  const content = makeContent(file, textSourceOf('x'));
  expect(content).toHaveLength(50_000);
  const ratio = content.length / gzipSync(content).length;
  expect(ratio).toBeGreaterThan(least);
  expect(ratio).toBeLessThan(most);
});

it('lays database pages out as PostgreSQL does, about half of their bytes compressible', async () => {
  const root = await make('database', 'a', 'x');
  const table = readFileSync(join(root, 'base/16384/16397'));
  expect(table.length % pageBytes).toBe(0);
  for (let start = 0; start < table.length; start += pageBytes) {
    const [lower, upper] = [table.readUInt16LE(start + 12), table.readUInt16LE(start + 14)];
    expect(table.readUInt16LE(start + 18)).toBe(0x2004);
    expect(lower).toBeLessThanOrEqual(upper);
  }
  const ratio = table.length / gzipSync(table).length;
  expect(ratio).toBeGreaterThan(1.5);
  expect(ratio).toBeLessThan(2.5);
});

it('changes the requested share of pages, the same ones for the same seed, and no others', async () => {
  const roots = [await make('database', 'a', 'x'), await make('database', 'b', 'x')];
  const read = (root: string | undefined) => readFileSync(join(root ?? '', 'base/16384/16397'));
  const before = read(roots[0]);
  for (const root of roots)
    expect(await changeDatabase(root, 'seed', 0.1)).toBe(Math.round(before.length / pageBytes / 10));
  const after = read(roots[0]);
  expect(after.equals(read(roots[1]))).toBe(true);
  const changed = Array.from({ length: before.length / pageBytes }, (_, page) => page * pageBytes).filter(
    (start) => !before.subarray(start, start + pageBytes).equals(after.subarray(start, start + pageBytes)),
  );
  expect(changed).toHaveLength(Math.round(before.length / pageBytes / 10));
});

it('chooses distinct pages in order, one at least and never more than there are', () => {
  const { below } = randomOf('x');
  const pages = choosePages(1_000, 0.25, below);
  expect(new Set(pages).size).toBe(250);
  expect(pages).toEqual(pages.toSorted((a, b) => a - b));
  expect(choosePages(3, 0.01, below)).toHaveLength(1);
  expect(choosePages(3, 5, below)).toEqual([0, 1, 2]);
});

it('plans several media files between 1 and 100 MB', () => {
  for (const bytes of [1e6, 2e7, 1e9]) {
    const sizes = planMedia('x', bytes);
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1e6);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1e8);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThanOrEqual(bytes);
    expect(total).toBeLessThanOrEqual(bytes + 2e6);
  }
  expect(planMedia('x', 2e7).length).toBeGreaterThan(3);
});

it('continues the same noise in steps of any size', () => {
  const [one, two] = [noiseOf('x'), noiseOf('x')];
  expect(Buffer.concat([one(10), one(23), one(1)])).toEqual(two(34));
});
