import { execFileSync, spawn } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeHostileTree } from '../../../test/support/hostile-tree.ts';
import { treeFacts } from '../../../test/support/tree-facts.ts';
import type { Entry } from '../../model/entry.ts';
import { readTar } from './read-tar.ts';
import { writeTar } from './write-tar.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-tar-'));
const tree = join(folder, 'tree');
const isRoot = process.getuid?.() === 0;

beforeAll(() => makeHostileTree(tree));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quiet = ['--warning=no-timestamp', '--warning=no-unknown-keyword'];
const extractAll = [...quiet, '--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '-xpf'];
const extractPlain = [...quiet, '--numeric-owner', '-xpf'];

/**
 * Archives written by GNU tar are read here and written again; GNU tar must extract the second to the first
 * tree. So the other program judges both directions at once.
 */
describe.skipIf(!isRoot)('the codec between two GNU tars', () => {
  const formats = [
    {
      name: 'PAX, sparse 1.0',
      flags: [
        '--format=posix',
        '--sparse',
        '--sparse-version=1.0',
        '--xattrs',
        '--xattrs-include=*',
        '--acls',
      ],
    },
    {
      name: 'PAX, sparse 0.1',
      flags: [
        '--format=posix',
        '--sparse',
        '--sparse-version=0.1',
        '--xattrs',
        '--xattrs-include=*',
        '--acls',
      ],
    },
    {
      name: 'PAX, sparse 0.0',
      flags: [
        '--format=posix',
        '--sparse',
        '--sparse-version=0.0',
        '--xattrs',
        '--xattrs-include=*',
        '--acls',
      ],
    },
    {
      name: 'PAX with global headers',
      flags: ['--format=posix', '--sparse', '--pax-option=globexthdr.name=g,gname=nobody'],
    },
  ];
  test.each(formats)('keeps everything of $name', async ({ flags }) => {
    const hasAttributes = flags.includes('--acls');
    const copy = await throughCodec(['--numeric-owner', ...flags, '-cf'], extractAll);
    const options = hasAttributes ? {} : { without: ['xattrs' as const] };
    expect(treeFacts(copy, options)).toEqual(treeFacts(tree, options));
  });

  test.each(['gnu', 'oldgnu'])('keeps all that the %s format has', async (format) => {
    const flags = ['--numeric-owner', `--format=${format}`, '--sparse', '-cf'];
    const copy = await throughCodec(flags, extractPlain);
    const reference = join(folder, `reference-${format}`);
    mkdirSync(reference);
    const archive = join(folder, `${format}.tar`);
    tar('tar', [...flags, archive, '-C', tree, '.']);
    tar('tar', ['--numeric-owner', '-xpf', archive, '-C', reference]);
    expect(treeFacts(copy)).toEqual(treeFacts(reference));
  });

  test.each(['ustar', 'v7'])('keeps all that the %s format has', async (format) => {
    const archive = join(folder, `${format}.tar`);
    const names = ['plain.txt', 'link', 'hard-link', 'dir\xe9', 'empty', '-rf'].map((name) =>
      Buffer.from(name, 'latin1'),
    );
    const list = join(folder, 'names');
    writeFileSync(list, Buffer.concat(names.flatMap((name) => [Buffer.from('./'), name, Buffer.from('\0')])));
    tar('tar', [
      '--numeric-owner',
      `--format=${format}`,
      '--owner=7',
      '--group=8',
      '--mtime=2020-01-01',
      '-C',
      tree,
      '--null',
      '-T',
      list,
      '-cf',
      archive,
    ]);
    const reference = join(folder, `reference-${format}`);
    mkdirSync(reference);
    tar('tar', ['--numeric-owner', '-xpf', archive, '-C', reference]);
    const copy = await rewritten(archive, extractPlain);
    const without = ['directoryTimes'] as const;
    expect(treeFacts(copy, { without })).toEqual(treeFacts(reference, { without }));
  });
});

describe.skipIf(!isRoot)('the codec and BusyBox tar', () => {
  test('reads archives of BusyBox', async () => {
    const archive = join(folder, 'busybox.tar');
    tar('busybox', ['tar', '-cf', archive, '-C', tree, '.']);
    const copy = await rewritten(archive, extractPlain);
    const reference = join(folder, 'busybox-reference');
    mkdirSync(reference);
    tar('tar', ['--numeric-owner', '-xpf', archive, '-C', reference]);
    expect(treeFacts(copy)).toEqual(treeFacts(reference));
  });

  test('writes what BusyBox reads: names up to 255 bytes, owners, links, devices', async () => {
    const archive = join(folder, 'for-busybox.tar');
    const list = [
      'plain.txt',
      'hard-link',
      'link',
      'bad-link',
      'bad\xff\xfe',
      'caf\xc3\xa9',
      'fifo',
      'char',
      'block',
      'd'.repeat(90),
      'big.bin',
    ];
    const names = join(folder, 'busybox-names');
    writeFileSync(names, Buffer.from(list.map((name) => `${name}\0`).join(''), 'latin1'));
    const make = ['--numeric-owner', '--no-recursion', '--null', '-C', tree, '-T', names, '-cf'];
    tar('tar', ['--format=posix', ...make, archive]);
    const copy = join(folder, 'busybox-copy');
    mkdirSync(copy);
    await rewrite(archive, 'busybox', ['tar', '-xp', '-C', copy]);
    const reference = join(folder, 'busybox-expected');
    mkdirSync(reference);
    tar('tar', ['--format=gnu', ...make, archive]);
    tar('busybox', ['tar', '-xpf', archive, '-C', reference]);
    // BusyBox sets no times on symbolic links.
    const without = ['mtime'] as const;
    expect(treeFacts(copy, { without })).toEqual(treeFacts(reference, { without }));
  });
});

describe('readTar()', () => {
  test('reads names that are absolute or start with ./ as relative ones', async () => {
    const archive = join(folder, 'absolute.tar');
    writeFileSync(join(folder, 'a-file'), 'x');
    tar('tar', ['-P', '-cf', archive, join(folder, 'a-file')]);
    expect((await entriesOf(archive)).map((entry) => entry.path)).toEqual([join(folder, 'a-file').slice(1)]);
  });

  test('refuses a name that climbs out of the archive', async () => {
    const archive = join(folder, 'climbing.tar');
    tar('tar', ['-P', '--transform=s,plain.txt,../../etc/evil,', '-C', tree, '-cf', archive, 'plain.txt']);
    await expect(entriesOf(archive)).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('../../etc/evil'),
    });
  });

  test('refuses a hard link whose target climbs out of the archive', async () => {
    const archive = join(folder, 'climbing-link.tar');
    tar('tar', [
      '-P',
      '--transform=flags=h;s,plain.txt,../evil,',
      '-C',
      tree,
      '-cf',
      archive,
      'plain.txt',
      'hard-link',
    ]);
    await expect(entriesOf(archive)).rejects.toMatchObject({ code: 'integrity' });
  });

  test.each([
    ['nothing at all', Buffer.alloc(0)],
    ['text', Buffer.from('hello '.repeat(400))],
    ['gzip', Buffer.from('1f8b0800', 'hex')],
  ])('refuses %s', async (_, bytes) => {
    const garbage = join(folder, 'garbage');
    writeFileSync(garbage, bytes);
    await expect(entriesOf(garbage)).rejects.toMatchObject({ code: 'integrity' });
  });

  test('refuses two archives that were joined, so that the second is not lost without a word', async () => {
    const archive = join(folder, 'one.tar');
    tar('tar', ['-C', tree, '-cf', archive, 'plain.txt']);
    const joined = join(folder, 'joined.tar');
    execFileSync('sh', ['-c', 'cat "$1" "$1" > "$2"', 'sh', archive, joined]);
    await expect(entriesOf(joined)).rejects.toMatchObject({
      code: 'integrity',
      detail: expect.stringContaining('after its end'),
    });
  });

  test('refuses an extended header of 4 GiB before it reads it', async () => {
    const archive = Buffer.alloc(1024);
    archive.write('././@LongLink', 0);
    archive.write('40000000000', 124);
    archive.write('L', 156);
    archive.write('        ', 148);
    archive.write(`${archive.reduce((sum, byte) => sum + byte, 0).toString(8)}\0`, 148);
    const path = join(folder, 'huge-header.tar');
    writeFileSync(path, archive);
    await expect(entriesOf(path)).rejects.toMatchObject({
      code: 'integrity',
      detail: expect.stringContaining('too large'),
    });
  });
});

async function entriesOf(archive: string): Promise<Entry[]> {
  const found: Entry[] = [];
  for await (const { entry } of readTar(createReadStream(archive))) found.push(entry);
  return found;
}

let copies = 0;

async function throughCodec(
  createFlags: readonly string[],
  extractFlags: readonly string[],
): Promise<string> {
  const archive = join(folder, `archive-${copies}.tar`);
  tar('tar', [...createFlags, archive, '-C', tree, '.']);
  return rewritten(archive, extractFlags);
}

/** Reads an archive, writes it again, and has GNU tar extract that. */
async function rewritten(archive: string, extractFlags: readonly string[]): Promise<string> {
  const copy = join(folder, `copy-${copies++}`);
  mkdirSync(copy);
  await rewrite(archive, 'tar', [...extractFlags, '-', '-C', copy]);
  return copy;
}

async function rewrite(archive: string, program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'] });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const members = readTar(createReadStream(archive, { highWaterMark: 10_007 }));
  const sources = (async function* () {
    for await (const { entry, body } of members) yield { entry, open: () => body };
  })();
  for await (const chunk of writeTar(sources)) {
    if (!child.stdin.write(chunk)) await new Promise((resolve) => child.stdin.once('drain', resolve));
  }
  child.stdin.end();
  expect(await exited).toBe(0);
}

function tar(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
