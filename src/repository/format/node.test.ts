import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBytes, fromText } from '../../model/byte-string.ts';
import type { DataRun } from '../../model/entry.ts';
import { encodeTree } from './encode-tree.ts';
import { decodeTree, encodeNode, encodeNodeHead, type TreeNode } from './node.ts';

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const uint64 = fc.oneof(fc.bigInt({ min: 0n, max: 1000n }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
const time = fc.bigInt({ min: -62_135_596_800_000_000_000n, max: 253_402_300_799_999_999_999n });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 20 }).map(fromBytes);
const name = bytes
  .map((text) => text.replaceAll(/[/\0]/g, '_'))
  .map((text) => (/^\.\.?$/.test(text) ? 'dots' : text));
const text = fc.string({ unit: 'grapheme', maxLength: 10 }).map(fromText);
const xattr = fc.record({
  name: bytes,
  value: fc.uint8Array({ maxLength: 30 }).map((value) => Buffer.from(value)),
});

const fileNode: fc.Arbitrary<Partial<TreeNode>> = fc
  .tuple(
    fc.integer({ min: 0, max: 2 ** 50 }),
    fc.array(id, { maxLength: 4 }),
    fc.array(fc.nat(1000), { maxLength: 6 }),
  )
  .map(([extra, content, steps]) => {
    const dataRuns = runsOf(steps);
    const end = dataRuns.reduce((last, run) => Math.max(last, run.offset + run.length), 0);
    return { size: end + extra, content, dataRuns: steps.length > 3 ? undefined : dataRuns };
  });

/** Ordered runs without overlap, from the sizes of holes and runs in turn. */
function runsOf(steps: readonly number[]): DataRun[] {
  const runs: DataRun[] = [];
  let at = 0;
  for (let i = 0; i + 1 < steps.length; i += 2) {
    at += steps[i] ?? 0;
    runs.push({ offset: at, length: steps[i + 1] ?? 0 });
    at += steps[i + 1] ?? 0;
  }
  return runs;
}

const common = fc.record({
  name,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtimeNs: time,
  atimeNs: time,
  ctimeNs: time,
  uid: uint32,
  gid: uint32,
  user: text,
  group: text,
  inode: uint64,
  deviceId: uint64,
  links: fc.nat(100_000),
  xattrs: fc.array(xattr, { maxLength: 3 }),
});
const none = {
  size: 0,
  content: [],
  dataRuns: undefined,
  subtree: undefined,
  linkTarget: undefined,
  device: 0n,
};

const anyNode: fc.Arbitrary<TreeNode> = fc.oneof(
  fc.tuple(common, fileNode).map(([base, file]) => ({ ...base, ...none, ...file, type: 'file' as const })),
  fc.tuple(common, id).map(([base, subtree]) => ({ ...base, ...none, type: 'dir' as const, subtree })),
  fc
    .tuple(
      common,
      bytes.map((target) => target.replaceAll('\0', '_')),
    )
    .map(([base, linkTarget]) => ({ ...base, ...none, type: 'symlink' as const, linkTarget })),
  fc
    .tuple(common, fc.constantFrom('chardev' as const, 'blockdev' as const), uint64)
    .map(([base, type, device]) => ({ ...base, ...none, type, device })),
  fc
    .tuple(common, fc.constantFrom('fifo' as const, 'socket' as const, 'irregular' as const))
    .map(([base, type]) => ({ ...base, ...none, type })),
);

function decode(json: string): TreeNode[] {
  return decodeTree(Buffer.from(json, 'latin1'));
}

test('a tree of any nodes is decoded as it was encoded', () => {
  const trees = fc.uniqueArray(anyNode, { maxLength: 5, selector: (node) => node.name });
  fc.assert(
    fc.property(trees, (nodes) => {
      const sorted = nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      expect(decodeTree(encodeTree(sorted.map((node) => encodeNode(node))))).toEqual(sorted);
    }),
    { numRuns: 500 },
  );
});

test('a node begins with the fields of stat(2)', () => {
  fc.assert(
    fc.property(anyNode, (node) => {
      expect(encodeNode(node).startsWith(`${encodeNodeHead(node)},"`)).toBe(true);
    }),
  );
});

const plain: TreeNode = {
  name: 'file',
  type: 'file',
  mode: 0o4644,
  mtimeNs: 1n,
  atimeNs: 1n,
  ctimeNs: 2_000_000_000n,
  uid: 1000,
  gid: 100,
  user: 'me',
  group: '',
  inode: 9_007_199_254_740_993n,
  deviceId: 0n,
  size: 5,
  links: 1,
  linkTarget: undefined,
  xattrs: [],
  dataRuns: undefined,
  device: 0n,
  content: ['a'.repeat(64)],
  subtree: undefined,
};

test('a tree is written byte for byte as restic writes it', () => {
  expect(fromBytes(encodeTree([encodeNode(plain)]))).toBe(
    `{"nodes":[{"name":"file","type":"file","mode":8389028,"mtime":"1970-01-01T00:00:00.000000001Z",` +
      `"atime":"1970-01-01T00:00:00.000000001Z","ctime":"1970-01-01T00:00:02Z","uid":1000,"gid":100,"user":"me",` +
      `"inode":9007199254740993,"size":5,"links":1,"content":["${'a'.repeat(64)}"]}]}\n`,
  );
  expect(fromBytes(encodeTree([]))).toBe('{"nodes":[]}\n');
});

test('text inside a tree that looks like a large number is left as it is', () => {
  const target = '"inode":12345678901234567890';
  const node: TreeNode = {
    ...plain,
    ...none,
    type: 'symlink',
    name: '"inode":12345678901234567',
    linkTarget: target,
  };
  expect(decodeTree(encodeTree([encodeNode(node)]))).toEqual([{ ...node, content: [] }]);
});

test('a tree that another program did not sort is sorted by bytes', () => {
  const names = ['z', 'a', '\xff', 'B'];
  const nodes = names.map((entry) => encodeNode({ ...plain, name: entry }));
  expect(decodeTree(encodeTree(nodes)).map((node) => node.name)).toEqual(['B', 'a', 'z', '\xff']);
});

test('a directory of more files than can be read again is refused', () => {
  const huge = 'x'.repeat(2 ** 28);
  expect(() => encodeTree([huge, huge])).toThrow(expect.objectContaining({ code: 'unsupported' }));
});

describe('a hostile tree is refused', () => {
  const file = (fields: object): string =>
    JSON.stringify({ nodes: [{ name: 'f', type: 'file', mode: 420, content: [], ...fields }] });

  test.each([
    ['no JSON', 'nodes'],
    ['nothing', ''],
    ['half of it', fromBytes(encodeTree([encodeNode(plain)])).slice(0, -20)],
    ['a list', '[]'],
    ['null', 'null'],
    ['nodes that are no list', '{"nodes":{"length":1}}'],
    ['a node that is null', '{"nodes":[null]}'],
    ['a node that is a list', '{"nodes":[[]]}'],
    ['no name', '{"nodes":[{"type":"file"}]}'],
    ['an empty name', file({ name: '' })],
    ['the name "."', file({ name: '.' })],
    ['the name ".."', file({ name: '..' })],
    ['".." in other words', file({ name: String.raw`\x2e\u002e` })],
    ['a slash in a name', file({ name: '../../etc/passwd' })],
    ['a quoted slash in a name', file({ name: String.raw`a\x2fb` })],
    ['an octal slash in a name', file({ name: String.raw`a\057b` })],
    ['a NUL in a name', file({ name: 'a\0b' })],
    ['a quoted NUL in a name', file({ name: String.raw`a\x00b` })],
    ['a name that is not quoted well', file({ name: 'a\\' })],
    ['a name that is a number', file({ name: 5 })],
    ['a size in words', file({ size: 'big' })],
    ['a negative size', file({ size: -1 })],
    ['half a byte', file({ size: 0.5 })],
    ['a size beyond all numbers', '{"nodes":[{"name":"f","type":"file","size":1e300}]}'],
    ['a mode of a list', file({ mode: [] })],
    ['an owner beyond all owners', file({ uid: 2 ** 32 })],
    ['a negative group', file({ gid: -1 })],
    ['an inode of half a number', file({ inode: 1.5 })],
    ['a negative inode', file({ inode: -1 })],
    ['an inode in words', file({ inode: 'first' })],
    ['a time that is a number', file({ mtime: 5 })],
    ['content that is a text', file({ content: 'abc' })],
    ['content of numbers', file({ content: [5] })],
    ['content with a short id', file({ content: ['ab'] })],
    ['content with a long id', file({ content: ['a'.repeat(66)] })],
    ['content with an id in capitals', file({ content: ['A'.repeat(64)] })],
    ['a subtree that is no id', file({ type: 'dir', subtree: '../x' })],
    ['a subtree that is an object', file({ type: 'dir', subtree: {} })],
    ['attributes that are no list', file({ extended_attributes: {} })],
    ['an attribute that is null', file({ extended_attributes: [null] })],
    ['an attribute that is a number', file({ extended_attributes: [{ name: 'user.a', value: 5 }] })],
    ['a link to nowhere', file({ type: 'symlink' })],
    ['a link to nothing', file({ type: 'symlink', linktarget: '' })],
    ['a link with a NUL', file({ type: 'symlink', linktarget_raw: 'YQBi' })],
    ['a link that is a list', file({ type: 'symlink', linktarget: ['a'] })],
    ['a name twice', fromBytes(encodeTree([encodeNode(plain), encodeNode(plain)]))],
    [
      'a name twice in other words',
      JSON.stringify({
        nodes: [
          { name: 'a', type: 'file' },
          { name: String.raw`\x61`, type: 'dir' },
        ],
      }),
    ],
    ['a nesting without end', `{"nodes":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
    ['objects nested without end', `{"nodes":[${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}]}`],
  ])('%s', (_what, json) => {
    expect(() => decode(json)).toThrow(expect.objectContaining({ code: 'integrity' }));
  });

  test.each([['virus'], ['__proto__'], ['constructor'], [undefined]])('the type %s', (type) => {
    expect(() => decode(file({ type }))).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });

  test('any text gives an AppError, or nodes with names that a file can have', () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.dictionary(
          fc.constantFrom(
            'name',
            'type',
            'mode',
            'mtime',
            'size',
            'inode',
            'uid',
            'content',
            'subtree',
            'linktarget',
            'extended_attributes',
            'generic_attributes',
            'device',
          ),
          fc.jsonValue({ maxDepth: 2 }),
        ),
        (json, fields) => {
          for (const hostile of [
            json,
            `{"nodes":${json}}`,
            file({}),
            file(fields),
            file({ ...fields, name: 'f', type: 'file' }),
          ]) {
            try {
              for (const node of decode(hostile)) expect(node.name).toMatch(/^(?!\.\.?$)[^/\0]+$/s);
            } catch (error) {
              expect(error).toMatchObject({
                name: 'AppError',
                code: expect.stringMatching(/^(integrity|unsupported)$/),
              });
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a message about it shows no control characters', () => {
    expect(() => decode(file({ name: 'a/\u001b[2J' }))).toThrow(String.raw`"a/\u001b[2J"`);
  });
});

test.each([
  ['beyond the end', [[0, 10]]],
  [
    'in no order',
    [
      [4, 1],
      [0, 1],
    ],
  ],
  [
    'over each other',
    [
      [0, 3],
      [2, 1],
    ],
  ],
  ['negative', [[-1, 3]]],
  ['no pairs', [0, 5]],
  ['words', [['0', '5']]],
  ['no list', 'none'],
])('runs of data that are %s are ignored, so that the whole file is restored', (_what, runs) => {
  const json = JSON.stringify({
    nodes: [
      { name: 'f', type: 'file', size: 5, content: [], generic_attributes: { 'holdfast.data_runs': runs } },
    ],
  });
  expect(decode(json)[0]?.dataRuns).toBeUndefined();
});

test('a node without times, owner or mode has none', () => {
  expect(decode('{"nodes":[{"name":"d","type":"dir"}]}')).toMatchObject([
    {
      name: 'd',
      mode: 0,
      mtimeNs: 0n,
      atimeNs: 0n,
      uid: 0,
      gid: 0,
      inode: 0n,
      content: [],
      subtree: undefined,
    },
  ]);
});
