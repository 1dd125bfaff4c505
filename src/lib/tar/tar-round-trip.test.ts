import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../model/entry.ts';
import { readTar } from './read-tar.ts';
import type { TreeProblem } from '../tree-problem.ts';
import type { TarSource } from './tar-member.ts';
import { writeTar } from './write-tar.ts';

interface Member {
  readonly entry: Entry;
  readonly content: Buffer;
}

const byteName = fc
  .array(fc.oneof(fc.integer({ min: 1, max: 255 }), fc.constantFrom(0x0a, 0x20, 0x3d, 0x2e, 0xff, 0xc3)), {
    minLength: 1,
    maxLength: 120,
  })
  .map((codes) => String.fromCharCode(...codes).replaceAll('/', '_'))
  .filter((name) => name !== '.' && name !== '..');
const path = fc.array(byteName, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
const id = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 2_097_151, 2_097_152, 4_294_967_294),
);
const mtimeNs = fc.oneof(
  fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
  fc.constantFrom(0n, -1n, -500_000_000n, 1_000_000_000n, -1_000_000_000n, 8n ** 11n * 1_000_000_000n),
);
const xattrs = fc
  .uniqueArray(
    fc.record({
      name: byteName.map((name) => `user.${name}`),
      value: fc.uint8Array({ maxLength: 300 }),
    }),
    { maxLength: 3, selector: (attribute) => attribute.name },
  )
  .map((list) => list.sort((one, other) => (one.name < other.name ? -1 : 1)));
const common = fc.record({ path, mode: fc.integer({ min: 0, max: 0o7777 }), uid: id, gid: id, mtimeNs });
const withXattrs = fc
  .tuple(common, xattrs)
  .map(([base, list]) => (list.length === 0 ? base : { ...base, xattrs: list }));
const content = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  fc.constantFrom(512, 511, 513, 100_000).map((n) => Buffer.alloc(n, 7)),
);

const plainFile = fc.tuple(withXattrs, content).map(([base, bytes]): Member => {
  return { entry: { ...base, type: 'file', size: bytes.length }, content: Buffer.from(bytes) };
});
const sparseFile = fc
  .tuple(
    withXattrs,
    fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 4 })), { maxLength: 60 }),
    fc.nat(700),
  )
  .map(([base, shape, tail]): Member => {
    const dataRuns: { offset: number; length: number }[] = [];
    let end = 0;
    for (const [hole, data] of shape) {
      dataRuns.push({ offset: end + hole * 512, length: data * 512 });
      end += (hole + data) * 512;
    }
    const bytes = dataRuns.reduce((sum, run) => sum + run.length, 0);
    return {
      entry: { ...base, type: 'file', size: end + 1 + tail, dataRuns },
      content: Buffer.alloc(bytes, 'data'),
    };
  });
const other = fc
  .tuple(withXattrs, byteName, fc.nat(0xfff), fc.nat(0xfffff), fc.nat(5))
  .map(([base, target, deviceMajor, deviceMinor, kind]): Member => {
    const empty = { ...base, size: 0 };
    const entries: Entry[] = [
      { ...empty, type: 'dir' },
      { ...empty, type: 'symlink', linkTarget: target },
      { ...empty, type: 'fifo' },
      { ...empty, type: 'chardev', deviceMajor, deviceMinor },
      { ...empty, type: 'blockdev', deviceMajor, deviceMinor },
      { ...withoutXattrs(base), size: 0, type: 'file', hardLinkTo: target },
    ];
    return { entry: entries[kind] as Entry, content: Buffer.alloc(0) };
  });
const members = fc.array(fc.oneof(plainFile, sparseFile, other), { maxLength: 12 });

/** Hard links carry no attributes of their own. */
function withoutXattrs(base: Omit<Entry, 'type' | 'size'>): Omit<Entry, 'type' | 'size'> {
  const { xattrs: _, ...rest } = base;
  return rest;
}

describe('a tar archive', () => {
  test('returns every entry and byte that was written, for any chunks of the stream', async () => {
    await fc.assert(
      fc.asyncProperty(members, fc.integer({ min: 1, max: 5000 }), async (list, cut) => {
        const archive = await archiveOf(list);
        const found = await membersOf(inPieces(archive, cut));
        expect(found).toEqual(list);
      }),
      { numRuns: 300 },
    );
  });

  test('is refused at every length but its full one', async () => {
    await fc.assert(
      fc.asyncProperty(
        members,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async (list, part) => {
          const archive = await archiveOf(list);
          const shorter = Math.floor((archive.length - 1024) * part);
          await expect(membersOf(inPieces(archive.subarray(0, shorter), 4096))).rejects.toMatchObject({
            code: 'integrity',
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  test('never gives anything but members or an integrity error when its bytes are changed', async () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(members, flips, async (list, changes) => {
        const archive = Buffer.from(await archiveOf(list));
        for (const [at, value] of changes) archive[at % archive.length] = value;
        await membersOf(inPieces(archive, 3000)).catch((error: unknown) =>
          expect(error).toMatchObject({ code: 'integrity' }),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('writeTar()', () => {
  test('pads a file that became shorter with zeros and reports it', async () => {
    const problems: TreeProblem[] = [];
    const archive = await archiveOf(
      [
        { entry: file('a', 10), content: Buffer.from('abc') },
        { entry: file('b', 1), content: Buffer.from('b') },
      ],
      problems,
    );
    const found = await membersOf(inPieces(archive, 700));
    expect(found.map((member) => member.content.toString('latin1'))).toEqual(['abc\0\0\0\0\0\0\0', 'b']);
    expect(problems).toMatchObject([
      { path: 'a', reason: 'changed', message: expect.stringContaining('became shorter') },
    ]);
  });

  test('truncates a file that grew and reports it, also an empty one', async () => {
    const problems: TreeProblem[] = [];
    const archive = await archiveOf(
      [
        { entry: file('a', 2), content: Buffer.from('abc') },
        { entry: file('b', 0), content: Buffer.from('b') },
      ],
      problems,
    );
    const found = await membersOf(inPieces(archive, 700));
    expect(found.map((member) => member.content.toString())).toEqual(['ab', '']);
    expect(problems.map((problem) => `${problem.path} ${problem.reason}`)).toEqual([
      'a changed',
      'b changed',
    ]);
  });

  test('leaves out a file that cannot be opened, and the hard links to it', async () => {
    const problems: TreeProblem[] = [];
    const gone = () => failing(Object.assign(new Error('gone'), { code: 'ENOENT' }));
    const sources: TarSource[] = [
      { entry: file('a', 5), open: gone },
      { entry: { ...file('b', 0), hardLinkTo: 'a' } },
      { entry: file('c', 1), open: () => inPieces(Buffer.from('c'), 1) },
    ];
    const archive = await gather(writeTar(sources, { onProblem: (problem) => problems.push(problem) }));
    expect((await membersOf(inPieces(archive, 512))).map((member) => member.entry.path)).toEqual(['c']);
    expect(problems.map((problem) => `${problem.path} ${problem.reason}`)).toEqual([
      'a vanished',
      'b unreadable',
    ]);
  });

  test('keeps the archive sound when reading fails in the middle of a file', async () => {
    const problems: TreeProblem[] = [];
    const open = async function* () {
      yield Buffer.from('ab');
      throw Object.assign(new Error('disk'), { code: 'EIO' });
    };
    const archive = await gather(
      writeTar([{ entry: file('a', 4), open }], { onProblem: (problem) => problems.push(problem) }),
    );
    expect((await membersOf(inPieces(archive, 512)))[0]?.content.toString('latin1')).toBe('ab\0\0');
    expect(problems).toMatchObject([{ reason: 'unreadable' }]);
  });

  test('reports sockets as left out', async () => {
    const skipped: string[] = [];
    const archive = await gather(
      writeTar([{ entry: { ...file('s', 0), type: 'socket' } }], {
        onSkipped: (entry) => skipped.push(entry.path),
      }),
    );
    expect(skipped).toEqual(['s']);
    expect(archive.length).toBe(1024);
  });

  test('closes the file that is being read when its consumer stops', async () => {
    let closed = false;
    const open = async function* () {
      try {
        for (;;) yield Buffer.alloc(100_000);
      } finally {
        closed = true;
      }
    };
    for await (const _ of writeTar([{ entry: file('a', 1e9), open }])) break;
    expect(closed).toBe(true);
  });

  test('writes sizes over 8 GiB so that the reader finds them', async () => {
    expect.assertions(1);
    const size = 20 * 2 ** 30 + 7;
    for await (const chunk of writeTar([
      { entry: file('huge', size), open: () => inPieces(Buffer.from('x'), 1) },
    ])) {
      const reader = readTar(inPieces(Buffer.from(chunk), 512));
      expect((await reader.next()).value?.entry.size).toBe(size);
      break;
    }
  });

  test('stops when its signal is aborted', async () => {
    const run = gather(writeTar([{ entry: file('a', 0) }], { signal: AbortSignal.abort() }));
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
  });
});

function file(name: string, size: number): Entry {
  return { path: name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, size };
}

function failing(error: Error): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
}

async function archiveOf(list: readonly Member[], problems: TreeProblem[] = []): Promise<Buffer> {
  const sources = list.map(({ entry, content: bytes }): TarSource => ({
    entry,
    open: () => inPieces(bytes, 1000),
  }));
  return gather(writeTar(sources, { onProblem: (problem) => problems.push(problem) }));
}

async function membersOf(chunks: AsyncIterable<Uint8Array>): Promise<Member[]> {
  const found: Member[] = [];
  for await (const { entry, body } of readTar(chunks))
    found.push({ entry: plain(entry), content: await gather(body) });
  return found;
}

/** Compares buffers and byte arrays by their bytes. */
function plain(entry: Entry): Entry {
  if (entry.xattrs === undefined) return entry;
  return {
    ...entry,
    xattrs: entry.xattrs.map(({ name, value }) => ({ name, value: new Uint8Array(value) })),
  };
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}
