import { createHash, randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Repository } from '../../src/repository/index.ts';
import { initTestRepository, openTestRepository, saveDirectory } from '../support/repository-fixture.ts';
import { resticCommand } from '../support/restic-command.ts';

let folder: string;
let pristine: string;
let location: string;
/** The content of each file of each snapshot, by the snapshot's time and the file's path. */
const saved = new Map<string, Map<string, string>>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'interop-repair-'));
  pristine = join(folder, 'pristine');
  const source = join(folder, 'source');
  makeTree(source);
  await using repository = await initTestRepository(pristine);
  const first = await saveDirectory(repository, source);
  saved.set(first.snapshot?.time ?? '', contentOf(source));
  for (let i = 0; i < 20; i++) writeFileSync(join(source, `d${i % 5}/f${i}`), randomBytes(3000));
  rmSync(join(source, 'd3/f3'));
  writeFileSync(join(source, 'large'), randomBytes(4_000_000));
  const second = await saveDirectory(repository, source);
  saved.set(second.snapshot?.time ?? '', contentOf(source));
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  location = join(folder, 'repository');
  cpSync(pristine, location, { recursive: true });
  return () => {
    rmSync(location, { recursive: true });
    rmSync(join(folder, 'out'), { recursive: true, force: true });
  };
});

function makeTree(root: string): void {
  for (let directory = 0; directory < 5; directory++) {
    mkdirSync(join(root, `d${directory}/deeper`), { recursive: true });
    for (let file = 0; file < 30; file++)
      writeFileSync(join(root, `d${directory}/f${file}`), `${directory} ${file}\n`.repeat(file * 10 + 1));
    writeFileSync(join(root, `d${directory}/deeper/file`), randomBytes(20_000));
  }
  writeFileSync(join(root, 'large'), randomBytes(9_000_000));
}

/** A digest of each file, by its path in the snapshot. */
function contentOf(root: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    const full = join(root, path);
    if (statSync(full).isFile())
      found.set(`volume/data/${path}`, createHash('sha256').update(readFileSync(full)).digest('hex'));
  }
  return found;
}

const bySize = (files: readonly string[]): string[] =>
  files.toSorted((a, b) => statSync(a).size - statSync(b).size);

function filesOf(type: string): string[] {
  return readdirSync(join(location, type), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(location, type, name))
    .sort();
}

const packOf: Readonly<Record<string, () => string>> = {
  largest: () => bySize(filesOf('data')).at(-1) ?? '',
  'of trees': () => packWithTrees(),
};

let treePack: string | undefined;
function packWithTrees(): string {
  if (treePack === undefined) throw new Error('The pack with trees is not known yet');
  return join(location, 'data', treePack.slice(0, 2), treePack);
}

interface IndexJson {
  readonly packs: readonly { readonly id: string; readonly blobs: readonly { readonly type: string }[] }[];
}

/** A copy of the first snapshot's repository, which has the most. */
beforeAll(async () => {
  const restic = resticCommand(pristine);
  const trees = new Map<string, number>();
  for (const name of readdirSync(join(pristine, 'index'))) {
    const { packs } = JSON.parse(await restic.run('cat', 'index', name)) as IndexJson;
    for (const { id, blobs } of packs)
      if (blobs.every(({ type }) => type === 'tree')) trees.set(id, blobs.length);
  }
  treePack = [...trees].sort(([, a], [, b]) => b - a)[0]?.[0];
});

const damages: Readonly<Record<string, (path: string) => void>> = {
  'a bit flipped at its start': (path) => flip(path, 20),
  'a bit flipped in its middle': (path) => flip(path, Math.floor(statSync(path).size / 2)),
  'a bit flipped in its header': (path) => flip(path, statSync(path).size - 20),
  'a bit flipped in the length of its header': (path) => flip(path, statSync(path).size - 2),
  'its second half missing': (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  'nothing in it': (path) => truncateSync(path, 0),
  'bytes after its end': (path) => writeFileSync(path, Buffer.concat([readFileSync(path), randomBytes(100)])),
  'a block of zeros': (path) => writeFileSync(path, readFileSync(path).fill(0, 200, 4296)),
  'been removed': (path) => rmSync(path),
};

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  writeFileSync(path, bytes);
}

/** The complete repair. Returns the paths named as lost, by the time of their snapshot. */
async function repairAll(repository: Repository): Promise<Map<string, string[]>> {
  await repository.repairIndex();
  await repository.repairPacks({ packs: 'damaged' });
  const { repaired } = await repository.repairSnapshots({ forget: true });
  return new Map(repaired.map(({ time, lost }) => [time, lost.map(({ path }) => path)]));
}

/** restic finds nothing wrong, and all files that were not named are restored. Without a root no snapshot stays. */
async function expectRepaired(
  lost: ReadonlyMap<string, string[]>,
  staying = [...saved.keys()].filter((time) => lost.get(time)?.includes('/') !== true).length,
): Promise<void> {
  const restic = resticCommand(location);
  expect(await restic.run('check', '--read-data')).toContain('no errors were found');
  await using repository = await openTestRepository(location);
  expect((await repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  const snapshots = await repository.listSnapshots();
  expect(snapshots).toHaveLength(staying);
  for (const snapshot of snapshots) {
    const target = join(folder, 'out', snapshot.id);
    await restic.run('restore', `${snapshot.id}:/volume/data`, '--target', target);
    const missing = lost.get(snapshot.time) ?? [];
    const isLost = (path: string): boolean =>
      missing.some((gone) => path === gone || path.startsWith(`${gone}/`));
    const expected = [...(saved.get(snapshot.time) ?? [])].filter(([path]) => !isLost(path));
    expect(new Map(contentOf(target))).toEqual(new Map(expected));
    expect(expected.length).toBeLessThanOrEqual(saved.get(snapshot.time)?.size ?? 0);
    expect(snapshot.problemCount).toBe(missing.length);
    expect(snapshot.tags).toEqual(missing.length > 0 ? ['repaired'] : []);
  }
}

describe.each(Object.keys(packOf))('a repository whose %s pack has', (which) => {
  test.each(Object.keys(damages))('%s is whole after a repair but for what is named', async (damage) => {
    const path = packOf[which]?.() ?? '';
    damages[damage]?.(path);
    await using repository = await openTestRepository(location);
    const before = await repository.check({ readDataPercent: 100 });
    expect(before.errors).not.toEqual([]);
    const lost = await repairAll(repository);
    expect(existsSync(path)).toBe(false);
    await expectRepaired(lost);
    if (damage !== 'bytes after its end' && !damage.includes('header')) expect(lost.size).toBeGreaterThan(0);
  });
});

describe.each(['a bit flipped in its middle', 'its second half missing', 'been removed', 'nothing in it'])(
  'a repository of which every index file has %s',
  (damage) => {
    test('is whole after a repair, and nothing is lost', async () => {
      for (const path of filesOf('index')) damages[damage]?.(path);
      await using repository = await openTestRepository(location);
      const lost = await repairAll(repository);
      expect(lost.size).toBe(0);
      expect(await repository.listSnapshots()).toHaveLength(2);
      await expectRepaired(lost);
    });
  },
);

test('damage to everything at once is repaired step by step', async () => {
  for (const path of filesOf('index').slice(0, 1)) flip(path, 30);
  flip(packOf['largest']?.() ?? '', 500_000);
  rmSync(packOf['of trees']?.() ?? '');
  await using repository = await openTestRepository(location);
  const lost = await repairAll(repository);
  expect(lost.size).toBe(2);
  await expectRepaired(lost);
});

test('a damaged snapshot record is named, and removed only on request', async () => {
  const [record = ''] = filesOf('snapshots');
  flip(record, 60);
  await using repository = await openTestRepository(location);
  const kept = await repository.repairSnapshots({ forget: false });
  expect(kept.unreadableRecords).toEqual([record.slice(-64)]);
  expect(existsSync(record)).toBe(true);
  await repairAll(repository);
  expect(existsSync(record)).toBe(false);
  expect(await repository.listSnapshots()).toHaveLength(1);
  await expectRepaired(new Map(), 1);
});

test('the next backup stores existing data again, and then nothing of the newest is lost', async () => {
  const pack = packOf['largest']?.() ?? '';
  flip(pack, 500_000);
  await using repository = await openTestRepository(location);
  await repository.repairPacks({ packs: [pack.slice(-64).slice(0, 10)] });
  const dry = await repository.repairSnapshots({ forget: false, dryRun: true });
  expect(dry.repaired.length).toBeGreaterThan(0);
  await saveDirectory(repository, join(folder, 'source'), { parent: undefined });
  const after = await repository.repairSnapshots({ forget: false, dryRun: true });
  const newest = [...saved.keys()].at(-1);
  expect(after.repaired.filter(({ time }) => time === newest)).toEqual([]);
});

test('restic repairs Holdfast’s repository, and Holdfast reads the rest', async () => {
  for (const path of filesOf('index')) rmSync(path);
  const restic = resticCommand(location);
  await restic.run('repair', 'index');
  await using repository = await openTestRepository(location);
  expect((await repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  expect((await repository.repairIndex({ readAllPacks: true })).replacedIndexFiles).toEqual([]);
});
