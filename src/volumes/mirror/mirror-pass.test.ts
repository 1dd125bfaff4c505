import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fromText } from '../../model/byte-string.ts';
import { MirrorPass } from './mirror-pass.ts';
import { OpenDirectories } from '../../lib/open-directories.ts';
import { CodeBook, pieceBytes } from './piece-codes.ts';
import { makeNode } from '../../lib/posix.ts';
import { TreeLedger } from './tree-ledger.ts';
import { walkTree } from '../../lib/tree-walk.ts';
import { TreeWriter } from '../../lib/tree-writer.ts';

const largeBytes = 4 * pieceBytes;

interface World {
  readonly folder: string;
  readonly from: string;
  readonly to: string;
  readonly codes: CodeBook;
  readonly pass: (ledger: TreeLedger, before: TreeLedger | undefined) => Promise<void>;
}

function makeWorld(): World {
  const folder = mkdtempSync(join(tmpdir(), 'pass-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  mkdirSync(from);
  mkdirSync(to);
  const codes = new CodeBook();
  const pass = async (ledger: TreeLedger, before: TreeLedger | undefined): Promise<void> => {
    using places = new OpenDirectories(fromText(to), { isStaged: false });
    using writer = new TreeWriter(fromText(to));
    const work = new MirrorPass({
      ...{ signal: undefined, places, writer, ledger, codes, before: before?.read() },
      ...{ isStill: true, isQuiet: () => true, trustsTimes: true, onPatched() {} },
    });
    for await (const walked of walkTree(fromText(from), { statOnly: true })) await work.take(walked);
    await work.finish();
  };
  return { folder, from, to, codes, pass };
}

test.each([
  ['a symbolic link', (path: string) => symlinkSync('nowhere', path)],
  [
    'a pipe',
    (path: string) => makeNode(fromText(path), { type: 'fifo', mode: 0o600, deviceMajor: 0, deviceMinor: 0 }),
  ],
])('a large file that got the inode of what was %s is a file', async (_, make) => {
  const { folder, from, to, pass } = makeWorld();
  const content = Buffer.alloc(largeBytes, 'content');
  writeFileSync(join(from, 'large'), content);
  make(join(to, 'large'));
  using before = new TreeLedger(folder);
  const { ino: inode } = statSync(join(from, 'large'), { bigint: true });
  before.add({ path: '', isDirectory: true, isLink: false, inode: 0n, signature: '' });
  before.add({ path: 'large', isDirectory: false, isLink: false, inode, signature: '' });
  using after = new TreeLedger(folder);
  await pass(after, before);
  expect(readFileSync(join(to, 'large')).equals(content)).toBe(true);
});

test('when a directory is removed, the contents of the files below it are forgotten', async () => {
  const { folder, from, to, codes, pass } = makeWorld();
  mkdirSync(join(from, 'a/b'), { recursive: true });
  const files = ['a/b/large', 'a/other', 'kept'];
  for (const file of files) writeFileSync(join(from, file), Buffer.alloc(largeBytes, file));
  const known = (): string[] =>
    files.filter((file) => {
      const piece = Buffer.alloc(largeBytes, file).subarray(0, pieceBytes);
      return codes.file(file).isKnown(0, codes.file(file).of(piece));
    });
  using first = new TreeLedger(folder);
  await pass(first, undefined);
  expect(known()).toEqual(files);
  rmSync(join(from, 'a'), { recursive: true });
  using second = new TreeLedger(folder);
  await pass(second, first);
  expect(known()).toEqual(['kept']);
  expect(readFileSync(join(to, 'kept')).equals(readFileSync(join(from, 'kept')))).toBe(true);
});
