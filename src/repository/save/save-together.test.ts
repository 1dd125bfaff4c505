import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { mapFile } from '../../../test/support/memory-map.ts';
import { type GradedSave, saveTogether, type StillTime } from '../../../test/support/save-together.ts';
import { AppError } from '../../model/errors.ts';
import type { InFlight } from '../../model/snapshot.ts';
import {
  allOf,
  openFreshRepository,
  type TestRepository,
  testVolume,
} from '../../../test/fixtures/open-repository.ts';
import type { SavedTree, SaveResult } from '../types.ts';

let opened: TestRepository;
let folder: string;

beforeEach(async () => {
  opened = await openFreshRepository();
  folder = mkdtempSync(join(tmpdir(), 'together-'));
  return async () => {
    rmSync(folder, { recursive: true, force: true });
    await opened[Symbol.asyncDispose]();
  };
});

function makeVolume(name: string, files: Readonly<Record<string, string | Buffer>>): string {
  const root = join(folder, name);
  mkdirSync(root);
  for (const [path, content] of Object.entries(files)) writeFileSync(join(root, path), content);
  return root;
}

function saveOf(root: string, more: Partial<GradedSave> = {}): GradedSave {
  return {
    source: { kind: 'directory', root },
    volume: { ...testVolume, name: root.split('/').at(-1) ?? '' },
    tags: [],
    hostname: 'host',
    timeMs: Date.now(),
    grade: 'crash',
    excludePatterns: [],
    ...more,
  };
}

function momentOf(more: Partial<StillTime> = {}): StillTime {
  return {
    liveFirst: true,
    clones: false,
    begin: async () => Date.now(),
    end: async () => undefined,
    ...more,
  };
}

async function fileOf({ snapshot }: SaveResult, path: string): Promise<Buffer | undefined> {
  if (snapshot === undefined) throw new Error('There is no snapshot');
  const entry = (await opened.walk(snapshot)).find((candidate) => candidate.path === path);
  return entry && Buffer.concat(await allOf(opened.repository.readFile(snapshot, entry)));
}

/** Longer than the time within which a changed time is not trusted. */
async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300));
}

test('has the data of the still moment, and reads again only what changed since the live pass', async () => {
  const quietFiles = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`quiet-${i}`, `text ${i}`]));
  const root = makeVolume('data', { ...quietFiles, log: 'one\n', gone: 'x' });
  await quiet();
  let seen: InFlight | undefined;
  const evidence: GradedSave['evidence'] = (inFlight) => void (seen = inFlight);
  const [result] = await saveTogether(
    opened.repository,
    [saveOf(root, { evidence })],
    momentOf({
      async begin() {
        appendFileSync(join(root, 'log'), 'two\n');
        unlinkSync(join(root, 'gone'));
        writeFileSync(join(root, 'come'), 'new');
        return Date.now();
      },
      end: async () => appendFileSync(join(root, 'log'), 'three\n'),
    }),
  );
  if (result === undefined) throw new Error('Nothing was saved');
  expect(result.problems).toEqual([]);
  expect((await fileOf(result, 'log'))?.toString()).toBe('one\ntwo\n');
  expect(await fileOf(result, 'gone')).toBeUndefined();
  expect((await fileOf(result, 'come'))?.toString()).toBe('new');
  expect(seen).toMatchObject({ files: 2, bytes: 11 });
  expect(result.summary).toMatchObject({ files: 52, filesNew: 52, filesChanged: 0, filesUnmodified: 0 });
  expect((await opened.repository.check({ readDataPercent: 100 })).errors).toEqual([]);
});

test('counts changes since the parent, not since the previous pass', async () => {
  const root = makeVolume('data', { still: 'x', log: 'one\n' });
  const [first] = await saveTogether(opened.repository, [saveOf(root)], momentOf());
  await quiet();
  const timeMs = Date.now() + 5000;
  const parent = first?.snapshot && { ...first.snapshot, time: new Date(timeMs).toISOString() };
  writeFileSync(join(root, 'fresh'), 'y');
  appendFileSync(join(root, 'log'), 'two\n');
  const [second] = await saveTogether(
    opened.repository,
    [saveOf(root, { parent })],
    momentOf({
      async begin() {
        appendFileSync(join(root, 'log'), 'three\n');
        return Date.now();
      },
    }),
  );
  expect(second?.summary).toMatchObject({ filesNew: 1, filesChanged: 1, filesUnmodified: 1 });
});

/** As long after the first save as its times are trusted. */
async function saveTwice(
  root: string,
  change: () => void,
  more: Partial<StillTime> = {},
): Promise<SaveResult | undefined> {
  const [first] = await saveTogether(opened.repository, [saveOf(root)], momentOf());
  await new Promise((resolve) => setTimeout(resolve, 1200));
  change();
  await quiet();
  const save = saveOf(root, { parent: first?.snapshot });
  const [second] = await saveTogether(opened.repository, [save], momentOf(more));
  return second;
}

test.each([{ clones: false }, { clones: true }])(
  'a mass change is counted though no later pass finds one of the files changed again (%o)',
  async (more) => {
    const large = Buffer.alloc(9 * 1024 * 1024, 'a');
    const root = makeVolume('data', { large, still: 'x' });
    mkdirSync(join(root, 'sub'));
    for (let i = 0; i < 200; i++) writeFileSync(join(root, 'sub', `file-${i}`), `text ${i}`);
    const change = (): void => {
      writeFileSync(join(root, 'large'), Buffer.alloc(large.length, 'b'));
      for (let i = 0; i < 200; i++) writeFileSync(join(root, 'sub', `file-${i}`), randomBytes(100));
      for (let i = 0; i < 10; i++) writeFileSync(join(root, `fresh-${i}`), 'y');
    };
    const second = await saveTwice(root, change, more);
    expect(second?.summary).toMatchObject({
      files: 212,
      filesNew: 10,
      filesChanged: 201,
      filesUnmodified: 1,
    });
  },
);

test('sees a write through a memory map between the passes, though the page was dirty before', async () => {
  const root = makeVolume('data', { 'data.mdb': Buffer.alloc(4096) });
  using map = mapFile(join(root, 'data.mdb'), 4096);
  map.bytes[0] = 1;
  await quiet();
  const [result] = await saveTogether(
    opened.repository,
    [saveOf(root)],
    momentOf({
      async begin(prepare) {
        await prepare();
        map.bytes[0] = 2;
        return Date.now();
      },
    }),
  );
  expect(result && (await fileOf(result, 'data.mdb'))?.[0]).toBe(2);
});

test('lets the next backup see a write to a page that was dirty when it was still', async () => {
  const root = makeVolume('data', { 'data.mdb': Buffer.alloc(4096) });
  using map = mapFile(join(root, 'data.mdb'), 4096);
  await quiet();
  const [first] = await saveTogether(
    opened.repository,
    [saveOf(root)],
    momentOf({
      async begin(prepare) {
        await prepare();
        map.bytes[0] = 2;
        return Date.now();
      },
    }),
  );
  expect(first && (await fileOf(first, 'data.mdb'))?.[0]).toBe(2);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  // Unless something else wrote it to disk, the page is still dirty, and no time changes.
  map.bytes[0] = 3;
  const [second] = await saveTogether(
    opened.repository,
    [saveOf(root, { parent: first?.snapshot })],
    momentOf(),
  );
  expect(second && (await fileOf(second, 'data.mdb'))?.[0]).toBe(3);
});

describe('a large file of pages', () => {
  const piece = 256 * 1024;

  function pagedFile(sizeBytes: number): Buffer {
    const file = randomBytes(sizeBytes);
    file.write('SQLite format 3\0', 'latin1');
    file.writeUInt16BE(4096, 16);
    return file;
  }

  async function saveChanged(
    change: (file: Buffer) => Buffer,
    sizeBytes = 40_000_000,
  ): Promise<InFlight | undefined> {
    let file = pagedFile(sizeBytes);
    const root = makeVolume('data', { db: file });
    await quiet();
    let seen: InFlight | undefined;
    const [result] = await saveTogether(
      opened.repository,
      [saveOf(root, { evidence: (inFlight) => void (seen = inFlight) })],
      momentOf({
        async begin() {
          file = change(file);
          writeFileSync(join(root, 'db'), file);
          return Date.now();
        },
      }),
    );
    const saved = result && (await fileOf(result, 'db'));
    expect(saved?.equals(file)).toBe(true);
    expect(result?.problems).toEqual([]);
    expect(result?.summary).toMatchObject({ files: 1, bytes: file.length });
    return seen;
  }

  test('is read again, and only the pieces that changed are hashed and stored', async () => {
    const seen = await saveChanged((file) => {
      for (const at of [100, 5_000_000, 5_000_001, 20_000_000, 39_999_999])
        file.writeUInt8(file.readUInt8(at) ^ 1, at);
      return file;
    });
    expect(seen).toMatchObject({ files: 1, bytes: 3 * piece + (40_000_000 % piece) });
  });

  test('has grown', async () => {
    const seen = await saveChanged((file) => Buffer.concat([file, randomBytes(9_000_000)]));
    const wholePieces = Math.floor(40_000_000 / piece) * piece;
    expect(seen?.bytes).toBe(49_000_000 - wholePieces);
  });

  test('has shrunk', async () => {
    expect((await saveChanged((file) => file.subarray(0, 17_000_000)))?.bytes).toBe(17_000_000 % piece);
  });

  test('is another kind of file', async () => {
    expect((await saveChanged((file) => randomBytes(file.length)))?.bytes).toBe(40_000_000);
  });

  test('has not changed but in its times', async () => {
    expect((await saveChanged((file) => file))?.bytes).toBe(0);
  });
});

test('saves several volumes of one moment', async () => {
  const roots = ['db', 'files'].map((name) => makeVolume(name, { log: 'before\n' }));
  await quiet();
  const results = await saveTogether(
    opened.repository,
    roots.map((root) => saveOf(root, { restorePoint: '0123456789abcdef' })),
    momentOf({
      async begin() {
        for (const root of roots) appendFileSync(join(root, 'log'), 'at\n');
        return 1_800_000_000_000;
      },
      async end() {
        for (const root of roots) appendFileSync(join(root, 'log'), 'after\n');
      },
    }),
  );
  expect(results.map(({ snapshot }) => snapshot?.time)).toEqual(
    Array(2).fill(new Date(1_800_000_000_000).toISOString()),
  );
  for (const result of results) {
    expect((await fileOf(result, 'log'))?.toString()).toBe('before\nat\n');
    expect(result.snapshot?.restorePoint).toBe('0123456789abcdef');
  }
  const listed = await opened.repository.listSnapshots();
  expect(listed.map(({ restorePoint }) => restorePoint)).toEqual(Array(2).fill('0123456789abcdef'));
});

test('reports a write while everything had to be still, and not one just before', async () => {
  const [first, second] = [makeVolume('first', { log: 'x' }), makeVolume('second', { log: 'x', other: 'x' })];
  const shown: (string | undefined)[] = [];
  const grade = async ({ written }: SavedTree): Promise<'cold'> => {
    shown.push(written);
    return 'cold';
  };
  // Called during the walk of the first, which is before the second's.
  const isExcluded = (): boolean => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    appendFileSync(join(second, 'log'), 'in passing');
    return false;
  };
  const saves = [saveOf(first, { grade, isExcluded }), saveOf(second, { grade })];
  const begin = async (): Promise<number> => {
    for (const root of [first, second]) appendFileSync(join(root, 'log'), 'just before');
    return Date.now();
  };
  await saveTogether(opened.repository, saves, momentOf({ liveFirst: false, begin }));
  expect(shown).toEqual([undefined, 'log']);
});

test('one that disappears at the still moment is lost alone, and nothing stays still afterwards', async () => {
  const root = makeVolume('db', { log: 'x' });
  const calls: string[] = [];
  const moment = momentOf({
    async begin() {
      calls.push('begin');
      rmSync(root, { recursive: true });
      return Date.now();
    },
    async end() {
      calls.push('end');
    },
  });
  const other = makeVolume('files', { log: 'x' });
  const saves = [saveOf(other), saveOf(root)];
  const results = await saveTogether(opened.repository, saves, moment);
  expect(results.map(({ error }) => error?.code)).toEqual([undefined, 'not-found']);
  expect(calls).toEqual(['begin', 'end']);
  expect((await opened.repository.listSnapshots()).map(({ volume }) => volume?.name)).toEqual(['files']);
});

test('reads large files when they are no longer still, where they can be cloned, and has them as they were', async () => {
  const large = Buffer.alloc(12 * 1024 * 1024, 'a');
  const root = makeVolume('data', { large, small: 'x' });
  await quiet();
  const [result] = await saveTogether(
    opened.repository,
    [saveOf(root)],
    momentOf({
      clones: true,
      async begin() {
        writeFileSync(join(root, 'large'), Buffer.alloc(large.length, 'b'));
        return Date.now();
      },
      async end() {
        // The file itself has changed by now: without a clone it was read before.
        writeFileSync(join(root, 'large'), Buffer.alloc(large.length, 'c'));
      },
    }),
  );
  const saved = result && (await fileOf(result, 'large'));
  expect(saved?.equals(Buffer.alloc(large.length, 'b'))).toBe(true);
  expect(result?.problems).toEqual([]);
  expect(statSync(join(root, 'large')).nlink).toBe(1);
});

test('records all or none: a failure at the very end leaves no snapshot', async () => {
  const [one, other] = [makeVolume('one', { a: 'a' }), makeVolume('other', { b: 'b' })];
  const grade = async (): Promise<never> => {
    throw new AppError('failed', 'Nobody knows');
  };
  await expect(
    saveTogether(opened.repository, [saveOf(one), saveOf(other, { grade })], momentOf()),
  ).rejects.toThrow('Nobody knows');
  expect(await opened.repository.listSnapshots()).toEqual([]);
  const { save } = opened.codec.store;
  let written = 0;
  opened.codec.store.save = async (type, ...rest) => {
    if (type === 'snapshots' && ++written === 2) throw new AppError('full', 'The disk is full');
    await save.call(opened.codec.store, type, ...rest);
  };
  await expect(saveTogether(opened.repository, [saveOf(one), saveOf(other)], momentOf())).rejects.toThrow(
    'The disk is full',
  );
  expect(await opened.repository.listSnapshots()).toEqual([]);
});

describe('data that is not still for as long as its reading takes', () => {
  /** Released when the first tries have begun, and for good after those. */
  function cutMoment(tries: number, cuts: number, onBegin: (time: number) => void): StillTime {
    let begun = 0;
    let cutAtMs: number | undefined;
    return momentOf({
      maxStillMs: 1000,
      tries,
      async begin() {
        onBegin(++begun);
        cutAtMs = begun <= cuts ? Date.now() : undefined;
        return Date.now();
      },
      cutAtMs: () => cutAtMs,
    });
  }

  async function saveCut(
    tries: number,
    cuts: number,
    change: (root: string, time: number) => void,
  ): Promise<{ result: SaveResult | undefined; seen: InFlight | undefined; root: string; begun: number }> {
    const root = makeVolume('data', { log: 'one', idle: 'x' });
    mkdirSync(join(root, 'sub'));
    writeFileSync(join(root, 'sub', 'file'), 'y');
    await quiet();
    let seen: InFlight | undefined;
    let begun = 0;
    const grade = async ({ inFlight }: SavedTree): Promise<'crash'> => ((seen = inFlight), 'crash');
    const moment = cutMoment(tries, cuts, (time) => {
      begun = time;
      change(root, time);
    });
    const [result] = await saveTogether(opened.repository, [saveOf(root, { grade })], moment);
    return { result, seen, root, begun };
  }

  const append = (root: string, time: number): void => appendFileSync(join(root, 'log'), ` ${time}`);

  test('is read live once more and made still again, and is then of one moment', async () => {
    const { result, seen, begun } = await saveCut(3, 1, append);
    expect(begun).toBe(2);
    expect(seen).toMatchObject({ tries: 2, files: 1 });
    expect(seen?.late).toBeUndefined();
    expect(result && (await fileOf(result, 'log'))?.toString()).toBe('one 1 2');
    expect(result?.summary).toMatchObject({ files: 3, filesNew: 3 });
  });

  test('reports what was read too late when no try is left', async () => {
    const { result, seen, begun } = await saveCut(2, 2, append);
    expect(begun).toBe(2);
    expect(seen).toMatchObject({ tries: 2, late: 1 });
    expect(result && (await fileOf(result, 'log'))?.toString()).toBe('one 1 2');
  });

  test('is of one moment all the same where nothing has changed that was looked at later', async () => {
    const { seen, begun } = await saveCut(3, 1, () => undefined);
    expect(begun).toBe(1);
    expect(seen?.late).toBeUndefined();
  });

  test('fails where a name was added or removed since', async () => {
    const { seen } = await saveCut(1, 1, () => undefined);
    expect(seen?.late).toBeUndefined();
    rmSync(join(folder, 'data'), { recursive: true });
    const come = await saveCut(1, 1, (root) => writeFileSync(join(root, 'sub', 'new'), ''));
    expect(come.seen?.late).toBeGreaterThanOrEqual(1);
  });
});

describe('several of which one cannot be read', () => {
  const restorePoint = 'a'.repeat(16);

  const brokenStream = (): AsyncIterable<never> => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        throw new AppError('failed', 'The driver has failed');
      },
    }),
  });

  test('saves the others, which name the missing one, and makes them still once', async () => {
    const [one, other] = [makeVolume('one', { a: 'a' }), makeVolume('other', { b: 'b' })];
    let begun = 0;
    const begin = async (): Promise<number> => (begun++, Date.now());
    const broken = saveOf(join(folder, 'streamed'), {
      restorePoint,
      source: { kind: 'entries', entries: brokenStream() },
    });
    const results = await saveTogether(
      opened.repository,
      [
        saveOf(one, { restorePoint, missing: ['locked'] }),
        broken,
        saveOf(join(folder, 'gone')),
        saveOf(other),
      ],
      momentOf({ begin }),
    );
    expect(results.map(({ error }) => error?.code)).toEqual([undefined, 'failed', 'not-found', undefined]);
    expect(results[1]?.error?.message).toBe('The driver has failed');
    expect(begun).toBe(1);
    // Both have the same time, so their order in the list is random.
    const listed = await opened.repository.listSnapshots();
    expect(Object.fromEntries(listed.map(({ volume, missing }) => [volume?.name, missing]))).toEqual({
      one: ['locked', 'streamed', 'gone'],
      other: undefined,
    });
  });

  test('fails as a whole when none can be read, or when the store fails', async () => {
    const [gone, lost] = [saveOf(join(folder, 'gone')), saveOf(join(folder, 'lost'))];
    await expect(saveTogether(opened.repository, [gone, lost], momentOf())).rejects.toThrow(/gone/);
    const root = makeVolume('one', { a: 'a' });
    rmSync(join(opened.location, 'data'), { recursive: true });
    writeFileSync(join(opened.location, 'data'), 'no folder');
    await expect(saveTogether(opened.repository, [saveOf(root), gone], momentOf())).rejects.toThrow();
    expect(await opened.repository.listSnapshots()).toEqual([]);
  });
});
