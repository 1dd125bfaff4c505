import { hash, randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ByteString } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { compileExcludes } from '../../model/exclude.ts';
import { allOf, openFreshRepository, type TestRepository } from '../../../test/fixtures/open-repository.ts';
import type { Repository, SaveOptions, SaveResult, SnapshotEntry } from '../types.ts';
import type { StreamedEntry } from './stream-saver.ts';

let opened: TestRepository;
let repository: Repository;

beforeEach(async () => {
  opened = await openFreshRepository();
  ({ repository } = opened);
  return () => opened[Symbol.asyncDispose]();
});

const base = { mode: 0o644, uid: 1, gid: 2, mtimeNs: 1_700_000_000_000_000_000n, size: 0 };

function directory(path: ByteString): StreamedEntry {
  return { entry: { ...base, path, type: 'dir', mode: 0o755 }, body: pieces([]) };
}

function file(path: ByteString, content: Uint8Array, more: Partial<Entry> = {}): StreamedEntry {
  return { entry: { ...base, path, type: 'file', size: content.length, ...more }, body: pieces([content]) };
}

async function* pieces(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield chunk;
  }
}

async function save(entries: readonly StreamedEntry[], more: Partial<SaveOptions> = {}): Promise<SaveResult> {
  return await opened.save({ kind: 'entries', entries: streamOf(entries) }, more);
}

async function* streamOf(entries: readonly StreamedEntry[]): AsyncGenerator<StreamedEntry> {
  for (const entry of entries) {
    await Promise.resolve();
    yield entry;
  }
}

async function walk(result: SaveResult): Promise<SnapshotEntry[]> {
  return await opened.walk(result.snapshot);
}

async function contentOf(result: SaveResult, path: ByteString): Promise<Buffer> {
  const entry = (await walk(result)).find((candidate) => candidate.path === path);
  if (!result.snapshot || !entry) throw new Error(`There is no "${path}"`);
  return Buffer.concat(await allOf(repository.readFile(result.snapshot, entry)));
}

test('a stream is saved with all its entries in byte order, for any order within directories', async () => {
  const result = await save([
    directory(''),
    file('z', Buffer.from('last')),
    directory('b'),
    file('b/2', Buffer.from('two')),
    directory('b/1'),
    file('b/1/deep', Buffer.from('deep')),
    file('b/0', Buffer.from('zero')),
    directory('a'),
    { entry: { ...base, path: 'a/link', type: 'symlink', linkTarget: '../z' }, body: pieces([]) },
    {
      entry: { ...base, path: 'a/dev', type: 'chardev', deviceMajor: 259, deviceMinor: 70_000 },
      body: pieces([]),
    },
    file('\xff bytes', Buffer.from('any')),
  ]);
  expect((await walk(result)).map(({ path }) => path)).toEqual([
    '',
    'a',
    'a/dev',
    'a/link',
    'b',
    'b/0',
    'b/1',
    'b/1/deep',
    'b/2',
    'z',
    '\xff bytes',
  ]);
  expect((await contentOf(result, 'b/1/deep')).toString()).toBe('deep');
  expect((await walk(result)).find(({ path }) => path === 'a/dev')).toMatchObject({
    deviceMajor: 259,
    deviceMinor: 70_000,
  });
  expect(result.summary).toMatchObject({ files: 5, directories: 4, others: 2, bytes: 4 + 3 + 4 + 4 + 3 });
  expect(result.problems).toEqual([]);
});

test('files of all sizes are saved completely, in pieces of any size', async () => {
  const sizes = [0, 1, 524_287, 524_288, 524_289, 3_000_000, 20_000_000];
  const contents = sizes.map((size) => randomBytes(size));
  const result = await save([
    directory(''),
    ...contents.map((content, i) => {
      const cut = Math.floor(content.length / 3);
      const { entry } = file(`f${i}`, content);
      return { entry, body: pieces([content.subarray(0, cut), new Uint8Array(0), content.subarray(cut)]) };
    }),
  ]);
  for (const [i, content] of contents.entries())
    expect(hash('sha256', await contentOf(result, `f${i}`))).toBe(hash('sha256', content));
  expect((await repository.check({ readDataPercent: 100 })).errors).toEqual([]);
});

test('fifty thousand tiny files are saved, each with a blob of its own', async () => {
  const count = 50_000;
  const entries = async function* (): AsyncGenerator<StreamedEntry> {
    yield directory('');
    for (let i = 0; i < count; i++) yield file(`f${i}`, Buffer.from(`${i}`));
  };
  const result = await save([], { source: { kind: 'entries', entries: entries() } });
  expect(result.summary.files).toBe(count);
  const report = await repository.check({ readDataPercent: 100 });
  expect(report.errors).toEqual([]);
  expect(report.blobs).toBeGreaterThan(count);
});

describe('hard links', () => {
  test('are one file under several names', async () => {
    const result = await save([
      directory(''),
      file('a', Buffer.from('shared')),
      directory('d'),
      { entry: { ...base, path: 'd/b', type: 'file', size: 6, hardLinkTo: 'a' }, body: pieces([]) },
      file('c', Buffer.from('shared')),
    ]);
    const entries = await walk(result);
    const link = (path: string): string | undefined =>
      entries.find((entry) => entry.path === path)?.hardLinkTo;
    expect(link('d/b')).toBe('a');
    // Equal content under another name is not a link.
    expect(link('c')).toBeUndefined();
    expect((await contentOf(result, 'd/b')).toString()).toBe('shared');
  });

  test('to what the stream has not sent are refused', async () => {
    const entry: Entry = { ...base, path: 'b', type: 'file', size: 6, hardLinkTo: 'a' };
    await expect(save([directory(''), { entry, body: pieces([]) }])).rejects.toMatchObject({
      code: 'integrity',
    });
  });

  test('to what is left out cannot be saved, and are named', async () => {
    const entry: Entry = { ...base, path: 'kept', type: 'file', size: 6, hardLinkTo: 'cache/a' };
    const result = await save(
      [
        directory(''),
        directory('cache'),
        file('cache/a', Buffer.from('shared')),
        { entry, body: pieces([]) },
        file('other', Buffer.from('x')),
      ],
      { isExcluded: compileExcludes(['/cache']) },
    );
    expect(result.problems).toEqual([
      { path: 'kept', reason: 'unreadable', message: 'is the same file as "cache/a", which is left out' },
    ]);
    expect((await walk(result)).map(({ path }) => path)).toEqual(['', 'other']);
    expect(result.snapshot?.problemCount).toBe(1);
  });
});

describe('sparse files', () => {
  const runs = [
    { offset: 100_000, length: 5 },
    { offset: 900_000, length: 0 },
    { offset: 1_500_000, length: 6 },
  ];

  test('are saved with their holes', async () => {
    const { entry } = file('s', Buffer.alloc(0), { size: 2_000_000, dataRuns: runs });
    const result = await save([
      directory(''),
      { entry, body: pieces([Buffer.from('fir'), Buffer.from('stsecond')]) },
    ]);
    const content = await contentOf(result, 's');
    expect(content.length).toBe(2_000_000);
    expect(content.toString('latin1', 100_000, 100_005)).toBe('first');
    expect(content.toString('latin1', 1_500_000, 1_500_006)).toBe('second');
    expect(content.filter((byte) => byte !== 0)).toHaveLength(11);
    expect((await walk(result)).find(({ path }) => path === 's')?.dataRuns).toEqual(runs);
  });

  test('of one hole are saved as that', async () => {
    const { entry } = file('s', Buffer.alloc(0), { size: 700_000, dataRuns: [] });
    const result = await save([directory(''), { entry, body: pieces([]) }]);
    expect((await contentOf(result, 's')).equals(Buffer.alloc(700_000))).toBe(true);
  });

  test.each([
    ['too short', ['firstse']],
    ['missing', []],
    ['too long', ['firstsecond, and more']],
  ])('whose data is %s are refused, not filled with zeros', async (_what, data) => {
    const { entry } = file('s', Buffer.alloc(0), { size: 2_000_000, dataRuns: runs });
    await expect(
      save([directory(''), { entry, body: pieces(data.map((text) => Buffer.from(text))) }]),
    ).rejects.toMatchObject({ code: 'integrity' });
  });
});

describe('a stream that is not as it should be is refused, and leaves no snapshot and no lock', () => {
  const cases: [string, StreamedEntry[]][] = [
    ['nothing at all', []],
    ['no root', [file('a', Buffer.from('x'))]],
    ['the root twice', [directory(''), directory('')]],
    ['a file in a directory that was not sent', [directory(''), file('d/a', Buffer.from('x'))]],
    [
      'a directory that was left already',
      [directory(''), directory('a'), directory('b'), file('a/x', Buffer.from('x'))],
    ],
    ['a file twice', [directory(''), file('a', Buffer.from('x')), file('a', Buffer.from('y'))]],
    [
      'a directory in the place of a file',
      [directory(''), file('a', Buffer.from('x')), directory('a'), file('a/b', Buffer.from('y'))],
    ],
    ['a file in the place of the root', [file('', Buffer.from('x'))]],
    [
      'a body that is too short',
      [directory(''), { ...file('a', Buffer.from('xyz')), body: pieces([Buffer.from('xy')]) }],
    ],
    [
      'a body that is too long',
      [directory(''), { ...file('a', Buffer.from('xyz')), body: pieces([Buffer.from('xyzz')]) }],
    ],
  ];
  test.each(cases)('%s', async (_what, entries) => {
    await expect(save(entries)).rejects.toMatchObject({ code: 'integrity' });
    expect(await repository.listSnapshots()).toEqual([]);
  });

  test('a body that breaks off with an error', async () => {
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(1_000_000);
      throw new Error('The connection was lost');
    };
    const { entry } = file('a', Buffer.alloc(0), { size: 2_000_000 });
    await expect(save([directory(''), { entry, body: broken() }])).rejects.toThrow('The connection was lost');
    expect(await repository.listSnapshots()).toEqual([]);
  });

  test('a sparse file of an impossible size', async () => {
    const { entry } = file('a', Buffer.alloc(0), { size: 10, dataRuns: [{ offset: 5, length: 20 }] });
    await expect(save([directory(''), { entry, body: pieces([Buffer.alloc(20)]) }])).rejects.toMatchObject({
      code: 'integrity',
    });
  });
});

test('excluded entries are neither saved nor read', async () => {
  let isRead = false;
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    isRead = true;
    yield Buffer.from('secret');
  };
  const { entry } = file('cache/secret', Buffer.from('secret'));
  const result = await save(
    [
      directory(''),
      directory('cache'),
      { entry, body: watched() },
      directory('cache/deep'),
      file('cache/deep/x', Buffer.from('x')),
      file('keep.txt', Buffer.from('keep')),
      file('drop.log', Buffer.from('drop')),
    ],
    { isExcluded: compileExcludes(['/cache', '*.log']) },
  );
  expect((await walk(result)).map(({ path }) => path)).toEqual(['', 'keep.txt']);
  expect(isRead).toBe(false);
  expect(result.problems).toEqual([]);
});

test('the same stream again stores nothing but the records of the snapshot, under the same tree', async () => {
  const entries = (): StreamedEntry[] => [
    directory(''),
    file('a', Buffer.from('a'.repeat(10_000))),
    directory('d'),
    { entry: { ...base, path: 'd/b', type: 'file', size: 10_000, hardLinkTo: 'a' }, body: pieces([]) },
  ];
  const first = await save(entries());
  const second = await save(entries(), { parent: first.snapshot });
  expect(second.summary).toMatchObject({ bytesAdded: 0, filesUnmodified: 2, filesNew: 0 });
  expect((await walk(second))[0]?.contentKey).toBe((await walk(first))[0]?.contentKey);
});

test('a cancel in the middle of a stream leaves no snapshot, and says that it was one', async () => {
  const stop = new AbortController();
  const endless = async function* (): AsyncGenerator<StreamedEntry> {
    yield directory('');
    for (let i = 0; ; i++) {
      if (i === 50) stop.abort();
      yield file(`f${i}`, randomBytes(100_000));
    }
  };
  await expect(
    save([], { source: { kind: 'entries', entries: endless() }, signal: stop.signal }),
  ).rejects.toMatchObject({ code: 'cancelled' });
  expect(await repository.listSnapshots()).toEqual([]);
});

describe('exact times beside a stream of whole seconds', () => {
  const exact = base.mtimeNs + 123_456_789n;
  const entries = (): StreamedEntry[] => [
    directory(''),
    file('a', Buffer.from('a')),
    directory('d'),
    file('d/b', Buffer.from('b')),
  ];

  async function timesOf(
    readTimes: (path: ByteString) => bigint | undefined,
    more: Partial<SaveOptions> = {},
  ) {
    const asked: ByteString[] = [];
    const result = await opened.save(
      {
        kind: 'entries',
        entries: streamOf(entries()),
        readTimes: async (paths) => {
          asked.push(...paths);
          return paths.map(readTimes);
        },
      },
      more,
    );
    return { result, asked, times: (await walk(result)).map(({ mtimeNs }) => mtimeNs) };
  }

  test('are taken where they are of the same second, and left where a later change made them others', async () => {
    const { times } = await timesOf((path) =>
      path === 'a' ? exact : path === 'd' ? exact + 1_000_000_000n : undefined,
    );
    expect(times).toEqual([base.mtimeNs, exact, base.mtimeNs, base.mtimeNs]);
  });

  test('are asked for once: an unchanged entry reuses those of the last backup', async () => {
    const first = await timesOf(() => exact);
    expect(first.asked.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['', 'a', 'd', 'd/b']);
    const second = await timesOf(() => exact, { parent: first.result.snapshot });
    expect(second.asked).not.toContain('a');
    expect(second.times).toEqual([exact, exact, exact, exact]);
    expect(second.result.summary.bytesAdded).toBe(0);
  });

  test('that cannot be had end the backup', async () => {
    const failing = timesOf(() => {
      throw new Error('The engine does not answer');
    });
    await expect(failing).rejects.toThrow('The engine does not answer');
    expect(await repository.listSnapshots()).toEqual([]);
  });
});
