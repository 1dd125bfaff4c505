import { hash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { AppError } from '../../model/errors.ts';
import {
  openFreshRepository,
  type TestRepository,
  testVolume,
} from '../../../test/fixtures/open-repository.ts';
import { saveSnapshot } from '../format/snapshot-file.ts';
import { HandmadeSnapshot } from '../../../test/fixtures/save-by-hand.ts';
import type { FileType } from '../stores/store.ts';
import type { CheckReport } from '../types.ts';

let opened: TestRepository;
let folder: string;
let source: string;

beforeEach(async () => {
  opened = await openFreshRepository();
  folder = mkdtempSync(join(tmpdir(), 'check-'));
  source = join(folder, 'source');
  mkdirSync(join(source, 'docs'), { recursive: true });
  return async () => {
    rmSync(folder, { recursive: true });
    await opened[Symbol.asyncDispose]();
  };
});

async function check(readDataPercent = 0): Promise<CheckReport> {
  return await opened.repository.check({ readDataPercent });
}

/** Saves and returns the snapshot's id. */
async function save(): Promise<string> {
  return (await opened.save(source)).snapshot?.id ?? '';
}

async function names(type: FileType): Promise<string[]> {
  return (await opened.codec.store.list(type)).map(({ name }) => name);
}

function pathOf(type: FileType, name: string): string {
  return type === 'data'
    ? join(opened.location, 'data', name.slice(0, 2), name)
    : join(opened.location, type, name);
}

function flipBit(path: string, at: number): void {
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
  writeFileSync(path, bytes);
}

test('a sound repository is sound, and its counts are right', async () => {
  writeFileSync(join(source, 'docs/a'), randomBytes(2_000_000));
  writeFileSync(join(source, 'docs/b'), 'words '.repeat(10_000));
  await save();
  const sizes = (await names('data')).map((name) => statSync(pathOf('data', name)).size);
  expect(await check(100)).toEqual({
    snapshots: 1,
    packs: sizes.length,
    blobs: expect.any(Number),
    bytesRead: sizes.reduce((sum, size) => sum + size, 0),
    packBytes: sizes.reduce((sum, size) => sum + size, 0),
    errors: [],
    notes: [],
    damagedSnapshots: [],
    wholeSnapshots: await names('snapshots'),
  });
  expect((await check()).bytesRead).toBe(0);
});

test('an empty repository is sound', async () => {
  expect(await check(100)).toMatchObject({
    snapshots: 0,
    packs: 0,
    blobs: 0,
    errors: [],
    damagedSnapshots: [],
  });
});

describe('damage is found and named, and so are the snapshots that have it', () => {
  /** The ids of the first two snapshots, which share data. The third shares nothing with them. */
  let shared: string[];
  let third: string;
  let firstData: string;
  let firstIndex: string;

  beforeEach(async () => {
    // Below the minimum chunk size: one blob, whatever the bytes.
    writeFileSync(join(source, 'docs/report'), randomBytes(500_000));
    const first = await save();
    const packs = await names('data');
    firstData =
      packs.toSorted((a, b) => statSync(pathOf('data', b)).size - statSync(pathOf('data', a)).size)[0] ?? '';
    [firstIndex = ''] = await names('index');
    writeFileSync(join(source, 'docs/second'), 'second');
    const second = await save();
    shared = [first, second].toSorted();
    rmSync(join(source, 'docs'), { recursive: true });
    writeFileSync(join(source, 'other'), randomBytes(700_000));
    // Another volume: the description of the first is in its packs too.
    const other = await opened.save(source, { volume: { ...testVolume, name: 'other' } });
    third = other.snapshot?.id ?? '';
  });

  function expectShared(report: CheckReport): void {
    expect(report.damagedSnapshots.toSorted()).toEqual(shared);
    expect(report.damagedSnapshots).not.toContain(third);
  }

  test('a pack that is missing', async () => {
    rmSync(pathOf('data', firstData));
    const report = await check();
    expect(report.errors).toContain(`Pack "${firstData.slice(0, 8)}" is missing`);
    expect(report.errors).toContainEqual(
      expect.stringMatching(/^"\/volume\/data\/docs\/report" in snapshot ".{8}": 1 of its 1 blobs are lost$/),
    );
    expectShared(report);
  });

  test('a check of chosen snapshots reads only their data, and ignores losses of others', async () => {
    flipBit(pathOf('data', firstData), 300_000);
    const [id = ''] = shared;
    const chosen = await opened.repository.check({ readDataPercent: 100, snapshotIds: [third] });
    expect(chosen).toMatchObject({ errors: [], damagedSnapshots: [], wholeSnapshots: [third], snapshots: 1 });
    expect(chosen.bytesRead).toBeGreaterThan(700_000);
    expect(chosen.bytesRead).toBeLessThan(1_000_000);
    const damaged = await opened.repository.check({ readDataPercent: 100, snapshotIds: [third, id] });
    expect(damaged).toMatchObject({ damagedSnapshots: [id], wholeSnapshots: [third] });
    rmSync(pathOf('data', firstData));
    expect((await opened.repository.check({ readDataPercent: 0, snapshotIds: [third] })).errors).toEqual([]);
    const lost = await opened.repository.check({ readDataPercent: 0, snapshotIds: [id] });
    expect(lost.errors).toContain(`Pack "${firstData.slice(0, 8)}" is missing`);
    expect(lost.damagedSnapshots).toEqual([id]);
  });

  test('a pack that is cut short', async () => {
    truncateSync(pathOf('data', firstData), 5000);
    const report = await check();
    expect(report.errors).toContainEqual(
      expect.stringContaining(`Pack "${firstData.slice(0, 8)}" has 5000 bytes`),
    );
    expectShared(report);
  });

  test('a flipped bit in a pack, when its data is read', async () => {
    flipBit(pathOf('data', firstData), 300_000);
    expect((await check()).errors).toEqual([]);
    const report = await check(100);
    expect(report.errors).toContainEqual(
      expect.stringContaining(`Pack "${firstData.slice(0, 8)}" is damaged`),
    );
    expectShared(report);
  });

  test.each([
    ['the length of its header', -1],
    ['its header', -20],
  ])('a flipped bit in %s', async (_what, at) => {
    flipBit(pathOf('data', firstData), at);
    const report = await check(100);
    expect(report.errors).toContainEqual(
      expect.stringContaining(`Pack "${firstData.slice(0, 8)}" cannot be read`),
    );
    expectShared(report);
  });

  test('a tree that is lost', async () => {
    const trees = new Set(await names('data'));
    trees.delete(firstData);
    for (const name of trees) if (statSync(pathOf('data', name)).size < 100_000) rmSync(pathOf('data', name));
    const report = await check();
    expect(report.damagedSnapshots.toSorted()).toEqual([...shared, third].toSorted());
    expect(report.errors).toContainEqual(expect.stringContaining('the list of what is in it is lost'));
  });

  test('an index that is damaged', async () => {
    flipBit(pathOf('index', firstIndex), 100);
    const report = await check();
    expect(report.errors).toContainEqual(expect.stringContaining(`File "index/${firstIndex}"`));
    expect(report.notes).toContainEqual(expect.stringContaining('their index is damaged'));
    expectShared(report);
  });

  test('an index that is missing', async () => {
    rmSync(pathOf('index', firstIndex));
    const report = await check();
    expect(report.errors).not.toEqual([]);
    expectShared(report);
  });

  test('a snapshot that is damaged', async () => {
    flipBit(pathOf('snapshots', third), 50);
    const report = await check();
    expect(report.errors).toEqual([expect.stringContaining(`File "snapshots/${third}"`)]);
    expect(report.damagedSnapshots).toEqual([third]);
  });

  test('a damaged key beside an intact one', async () => {
    const name = 'ab'.repeat(32);
    writeFileSync(pathOf('keys', name), '{}');
    const report = await check();
    expect(report.errors).toEqual([expect.stringContaining(`Key file "${name.slice(0, 8)}" is damaged`)]);
    expect(report.damagedSnapshots).toEqual([]);
  });
});

test('a snapshot whose time restic cannot read is named', async () => {
  const made = new HandmadeSnapshot(opened.codec);
  const tree = made.tree([]);
  await made.save(tree);
  const json = { time: '2026-01-01', tree, paths: ['/srv'] };
  const id = await saveSnapshot(opened.codec, json);
  expect((await check()).errors).toEqual([
    `Snapshot "${id.slice(0, 8)}" has a time that is none: "2026-01-01"`,
  ]);
});

test('a key file of the right bytes that is no key file is named', async () => {
  await save();
  const bytes = Buffer.from('no key');
  const name = hash('sha256', bytes);
  await opened.codec.store.save('keys', name, bytes);
  expect((await check()).errors).toEqual([
    expect.stringContaining(`Key file "${name.slice(0, 8)}" is damaged`),
  ]);
});

test('one damaged blob does not condemn the rest of its pack', async () => {
  writeFileSync(join(source, 'docs/a'), randomBytes(100_000));
  const first = await save();
  rmSync(join(source, 'docs/a'));
  writeFileSync(join(source, 'docs/b'), randomBytes(100_000));
  const second = await save();
  const third = await save();
  const packs = await names('data');
  const sizes = packs.map((name) => [statSync(pathOf('data', name)).size, name] as const);
  const [, name] = sizes.toSorted((a, b) => b[0] - a[0])[0] ?? [0, ''];
  flipBit(pathOf('data', name), 500);
  const report = await check(100);
  expect([[first], [second, third].toSorted()]).toContainEqual(report.damagedSnapshots.toSorted());
});

describe('a snapshot that makes no sense is damaged', () => {
  const file = { name: 'f', type: 'file', mode: 0o644 };

  test.each([
    [
      'a file whose blobs are not its size',
      (made: HandmadeSnapshot) => made.tree([{ ...file, size: 4, content: [made.blob('data', 'abc')] }]),
      'its blobs have 3 bytes where 4 are expected',
    ],
    [
      'a file whose blob is nowhere',
      (made: HandmadeSnapshot) => made.tree([{ ...file, size: 3, content: ['ab'.repeat(32)] }]),
      '1 of its 1 blobs are lost',
    ],
    [
      'a directory without a tree',
      (made: HandmadeSnapshot) => made.tree([{ name: 'f', type: 'dir' }]),
      'it has lost the list',
    ],
    [
      'a hostile name',
      (made: HandmadeSnapshot) => made.tree([{ ...file, name: '../f' }]),
      'which no file can have',
    ],
    ['a tree that is nowhere', () => 'ab'.repeat(32), 'is missing'],
    [
      'few trees that name each other so often that no disk holds it',
      (made: HandmadeSnapshot) => {
        const of = (subtree: string) =>
          made.tree(['a', 'b', 'c', 'd'].map((name) => ({ name, type: 'dir', subtree })));
        let tree = made.tree([]);
        for (let level = 0; level < 20; level++) tree = of(tree);
        return tree;
      },
      'more than any file system can hold',
    ],
  ] as const)('%s', async (_what, make, message) => {
    const made = new HandmadeSnapshot(opened.codec);
    const { id } = await made.save(make(made));
    const report = await check();
    expect(report.errors).toEqual([expect.stringContaining(message)]);
    expect(report.damagedSnapshots).toEqual([id]);
  });

  test.each(['10000-01-01T00:00:00Z', '2026-02-30T00:00:00Z', 'yesterday', ''])(
    'and a time %j in a tree is told, with the file that has it',
    async (time) => {
      const made = new HandmadeSnapshot(opened.codec);
      await made.save(
        made.tree([
          { ...file, mtime: time },
          { ...file, name: 'g' },
        ]),
      );
      expect((await check()).errors).toEqual([
        expect.stringMatching(/^"\/f" in snapshot ".*": a time of it is none: "/),
      ]);
    },
  );

  test('and its names do nothing to a terminal', async () => {
    const made = new HandmadeSnapshot(opened.codec);
    await made.save(made.tree([{ ...file, name: String.raw`\x1b[2J`, size: 4, content: ['ab'.repeat(32)] }]));
    expect((await check()).errors.join()).not.toContain('\u001b');
  });
});

test('a share of the data is another one each time', async () => {
  for (let i = 0; i < 12; i++) {
    writeFileSync(join(source, 'docs', `f${i}`), randomBytes(1000 + i));
    await save();
  }
  const packs = await names('data');
  const victims = packs.slice(0, packs.length / 2);
  for (const name of victims) flipBit(pathOf('data', name), 20);
  const seen = new Set<string>();
  for (let round = 0; round < 12; round++)
    for (const error of (await check(20)).errors) if (error.startsWith('Pack')) seen.add(error.slice(6, 14));
  expect(seen.size).toBeGreaterThan(packs.length * 0.2);
});

test('packs that no index names are leftovers and no damage', async () => {
  await save();
  const content = randomBytes(100);
  await opened.codec.store.save('data', 'ab'.repeat(32), content);
  const report = await check(100);
  expect(report.errors).toEqual([]);
  expect(report.notes).toEqual(['1 pack is in no index: leftovers of an interrupted backup, harmless']);
});

test('a backup that ends while the check runs is not taken for damaged', async () => {
  for (let i = 0; i < 300; i++) writeFileSync(join(source, `f${i}`), randomBytes(1000));
  await save();
  const checks = [check(100), check(), check(100)];
  writeFileSync(join(source, 'new'), randomBytes(1000));
  await save();
  for (const report of await Promise.all(checks)) {
    expect(report.errors).toEqual([]);
    expect(report.damagedSnapshots).toEqual([]);
  }
});

test('a check of chosen snapshots reads each tree once', async () => {
  for (const name of ['a', 'b', 'c']) {
    mkdirSync(join(source, name));
    writeFileSync(join(source, name, 'file'), name);
  }
  const id = await save();
  const load = vi.spyOn(opened.codec.store, 'load');
  const report = await opened.repository.check({ readDataPercent: 100, snapshotIds: [id] });
  expect(report).toMatchObject({ errors: [], wholeSnapshots: [id] });
  const trees = load.mock.calls
    .filter(([type]) => type === 'data')
    .map(([, name, range]) => ({ name, range }));
  expect(trees.length).toBeGreaterThanOrEqual(4);
  expect(new Set(trees.map((tree) => JSON.stringify(tree))).size).toBe(trees.length);
});

test.each(['snapshots', 'index', 'data'] as const)(
  'a store that is out of reach for the %s is no damage',
  async (unreachable) => {
    const id = await save();
    const { store } = opened.codec;
    const load = store.load.bind(store);
    vi.spyOn(store, 'load').mockImplementation(async (type, ...rest) => {
      if (type === unreachable) throw new AppError('unavailable', 'The line is dead');
      return await load(type, ...rest);
    });
    for (const snapshotIds of [undefined, [id]])
      await expect(opened.repository.check({ readDataPercent: 0, snapshotIds })).rejects.toMatchObject({
        code: 'unavailable',
      });
  },
);

test('a check can be cancelled', async () => {
  await save();
  await expect(
    opened.repository.check({ readDataPercent: 100, signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: 'cancelled' });
});
