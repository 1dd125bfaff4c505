import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { countExtents } from '../../src/repository/extents/file-extents.ts';
import { fromText } from '../../src/model/byte-string.ts';
import { makeNameless } from '../../src/repository/save/cloned-file.ts';
import { EarlyClones } from '../../src/repository/save/early-clones.ts';
import { renewClone } from '../../src/repository/save/renew-clone.ts';
import { openFreshRepository } from '../fixtures/open-repository.ts';
import { type LoopFilesystem, mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { mapFile } from '../support/memory-map.ts';
import { saveTogether } from '../support/save-together.ts';
import { namelessOn, saveOf, savedContent } from './still-save.ts';

const page = 8192;
const pages = 3200;

/** A file with as many extents as pages, each followed by a hole of its size. */
function writeFragmented(path: string): void {
  const fd = openSync(path, 'w');
  for (let i = 0; i < pages; i++) writeSync(fd, someBytes(page), 0, page, i * 2 * page);
  ftruncateSync(fd, pages * 2 * page);
  fsyncSync(fd);
  expect(countExtents(fd)).toBeGreaterThanOrEqual(3000);
  closeSync(fd);
}

/** Compressible bytes, like those of programs. */
function someBytes(length: number): Buffer {
  return Buffer.from(randomBytes(Math.ceil(length / 2)).toString('hex'), 'latin1').subarray(0, length);
}

function writeAt(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}

/** Disks on which fragmented files are cloned early, each with its peculiarity. */
const disks: Readonly<Record<string, () => LoopFilesystem>> = {
  XFS: () => mountLoopFilesystem('xfs'),
  btrfs: () => mountLoopFilesystem('btrfs'),
  'btrfs that compresses': () => {
    const disk = mountLoopFilesystem('btrfs');
    disk.remount('compress-force=zstd');
    return disk;
  },
  'btrfs that overwrites in place': () => {
    const disk = mountLoopFilesystem('btrfs');
    execFileSync('chattr', ['+C', disk.path]);
    return disk;
  },
};

const anyPage = (): number => randomInt(pages) * 2 * page;

/** What programs do to their files; offsets in pages, so that each change fits any file. */
const changes: Readonly<Record<string, (path: string) => void>> = {
  'pages are written': (path) => {
    for (let i = 0; i < 50; i++) writeAt(path, anyPage(), someBytes(page));
  },
  'a few bytes are written': (path) => writeAt(path, anyPage() + randomInt(page), randomBytes(10)),
  'holes are filled': (path) => writeAt(path, anyPage() + page, someBytes(page)),
  'a page is written through a memory map': (path) => {
    using map = mapFile(path, page * 1000);
    map.bytes.set(randomBytes(100), anyPage() % (page * 999));
  },
  'pages are written past the cache': (path) => {
    const from = join(path, '..', 'direct');
    writeFileSync(from, randomBytes(page));
    const where = [`if=${from}`, `of=${path}`, `bs=${page}`, `seek=${anyPage() / page}`];
    execFileSync('dd', [...where, 'count=1', 'conv=notrunc', 'oflag=direct'], { stdio: 'pipe' });
    rmSync(from);
  },
  'a hole is made': (path) => fallocate(path, '--punch-hole', anyPage(), 3 * page),
  'a range is zeroed': (path) => fallocate(path, '--zero-range', anyPage(), 2 * page),
  'room is reserved, and a part of it written': (path) => {
    const end = Math.ceil(statSync(path).size / page) * page;
    fallocate(path, '--posix', end, page * 20);
    writeAt(path, end + page * 3, randomBytes(page));
  },
  'it is cut': (path) => truncateSync(path, statSync(path).size - randomInt(100_000)),
  'it grows by what is written': (path) => writeAt(path, statSync(path).size, someBytes(12_345)),
  'it grows by nothing': (path) => truncateSync(path, statSync(path).size + randomInt(100_000)),
};

/** Changes after which nearly all content is at another offset. */
const shifts: typeof changes = {
  'a range is taken out': (path) => fallocate(path, '--collapse-range', page * 8, page * 2),
  'a range is put in': (path) => fallocate(path, '--insert-range', page * 8, page * 2),
};

function fallocate(path: string, what: string, offset: number, length: number): void {
  execFileSync('fallocate', [what, '--offset', `${offset}`, '--length', `${length}`, path], {
    stdio: 'pipe',
  });
}

async function earlyOf(folder: string, ...names: readonly string[]): Promise<EarlyClones> {
  const early = new EarlyClones();
  await early.add(fromText(folder), names.map(fromText), undefined);
  return early;
}

const contentOf = (fd: number): string => digest(readFileSync(`/proc/self/fd/${fd}`));

describe.each(Object.entries(disks))('on %s a clone of before is what the file is now', (_, mount) => {
  test('after each change of one kind', async () => {
    await using disk = mount();
    const path = join(disk.path, 'data');
    writeFragmented(path);
    for (const [what, change] of Object.entries(changes)) {
      using early = await earlyOf(disk.path, 'data');
      change(path);
      expect(renewedBytes(early, path), what).toBeLessThan(pages * page * 0.1);
    }
  });

  test('after many changes of all kinds, each time', async () => {
    await using disk = mount();
    const path = join(disk.path, 'data');
    const kinds = Object.values(changes);
    for (let round = 0; round < 6; round++) {
      writeFragmented(path);
      using early = await earlyOf(disk.path, 'data');
      for (let i = 0; i < 25; i++) kinds[randomInt(kinds.length)]?.(path);
      expect(renewedBytes(early, path)).toBeLessThan(pages * page * 0.5);
    }
  });
});

test('on btrfs a file moved by a balance is cloned completely, and a reused place is not mistaken for it', async () => {
  await using disk = mountLoopFilesystem('btrfs');
  const path = join(disk.path, 'data');
  writeFragmented(path);
  const kinds = { one: ['-dlimit=1'], all: ['--full-balance'] };
  const renewed: Record<string, number | undefined> = {};
  for (const [what, moves] of Object.entries(kinds)) {
    using early = await earlyOf(disk.path, 'data');
    execFileSync('btrfs', ['balance', 'start', ...moves, disk.path], { stdio: 'pipe' });
    changes['pages are written']?.(path);
    writeFileSync(join(disk.path, what), randomBytes(20_000_000));
    // The content is verified where it is not cloned completely.
    renewed[what] = renewedBytes(early, path);
  }
  expect(renewed['all']).toBeUndefined();
});

test.each(Object.entries(shifts))(
  'a file that is another one throughout after %s is cloned as a whole',
  async (_, shift) => {
    await using disk = mountLoopFilesystem('xfs');
    const path = join(disk.path, 'data');
    writeFragmented(path);
    using early = await earlyOf(disk.path, 'data');
    shift(path);
    expect(renewedBytes(early, path)).toBeUndefined();
  },
);

/** How much was cloned again; undefined where it has to be cloned completely. Verifies all content. */
function renewedBytes(early: EarlyClones, path: string): number | undefined {
  const original = openSync(path, 'r');
  try {
    const clone = early.of(original);
    if (clone === undefined) throw new Error('It was not cloned early');
    const renewed = renewClone(clone, original);
    if (renewed !== undefined) expect(contentOf(clone.fd)).toBe(digest(readFileSync(path)));
    return renewed?.bytes;
  } finally {
    closeSync(original);
  }
}

test('a file of few extents, one of another file system and a missing one are not cloned early', async () => {
  await using disk = mountLoopFilesystem('btrfs');
  await using other = mountLoopFilesystem('ext4');
  writeFileSync(join(disk.path, 'whole'), randomBytes(5_000_000));
  writeFragmented(join(other.path, 'data'));
  for (const early of [await earlyOf(disk.path, 'whole', 'gone'), await earlyOf(other.path, 'data')]) {
    expect(namelessOn(disk.path, other.path)).toEqual([]);
    early[Symbol.dispose]();
  }
});

test('on btrfs space reserved far behind the end of a file costs no time', async () => {
  await using disk = mountLoopFilesystem('btrfs');
  const path = join(disk.path, 'data');
  writeFragmented(path);
  using early = await earlyOf(disk.path, 'data');
  changes['pages are written']?.(path);
  for (const offset of [2 ** 53, 2 ** 62]) {
    const where = ['--keep-size', '--offset', `${BigInt(offset)}`, '--length', '4096'];
    execFileSync('fallocate', [...where, path], { stdio: 'pipe' });
    expect(renewedBytes(early, path)).toBeLessThan(pages * page * 0.1);
  }
});

test('without the right to read extents, nothing is cloned early', async () => {
  await using disk = mountLoopFilesystem('btrfs');
  chmodSync(disk.path, 0o777);
  for (const name of ['one', 'two']) writeFragmented(join(disk.path, name));
  process.seteuid?.(65534);
  try {
    using _early = await earlyOf(disk.path, 'one', 'two');
    expect(namelessOn(disk.path)).toEqual([]);
  } finally {
    process.seteuid?.(0);
  }
});

test('a clone uses no quota of its folder’s project', async () => {
  await using disk = mountLoopFilesystem('xfs');
  xfs(['chproj 77', 'chattr +P'], disk.path);
  writeFileSync(join(disk.path, 'data'), 'content');
  expect(xfs(['lsproj'], join(disk.path, 'data'))).toContain('77');
  const original = openSync(join(disk.path, 'data'), 'r');
  const clone = makeNameless(fromText(disk.path), original) ?? -1;
  try {
    expect(xfs(['lsproj'], `/proc/${process.pid}/fd/${clone}`)).toBe('projid = 0\n');
  } finally {
    closeSync(clone);
    closeSync(original);
  }
});

function xfs(commands: readonly string[], path: string): string {
  return execFileSync('xfs_io', ['-r', ...commands.flatMap((one) => ['-c', one]), path], {
    encoding: 'utf8',
  });
}

test.each(Object.entries(disks))(
  'what is saved of a fragmented file on %s is what it was while it was still',
  async (_, mount) => {
    await using disk = mount();
    await using opened = await openFreshRepository();
    const root = join(disk.path, 'data');
    mkdirSync(root);
    const names = ['changed', 'replaced', 'same', 'rewritten'];
    const paths = names.map((name) => join(root, name));
    for (const path of paths) writeFragmented(path);
    const [changed = '', replaced = '', , rewritten = ''] = paths;
    let still: string[] = [];
    const { repository } = opened;
    const [result] = await saveTogether(repository, [saveOf(root)], {
      liveFirst: true,
      clones: true,
      async begin() {
        expect(namelessOn(disk.path)).toHaveLength(4);
        for (const change of Object.values(changes)) change(changed);
        for (let i = 0; i < pages; i++) writeAt(rewritten, i * 2 * page, someBytes(page));
        copyFileSync(changed, `${replaced}.new`);
        renameSync(`${replaced}.new`, replaced);
        still = paths.map((path) => digest(readFileSync(path)));
        return Date.now();
      },
      async end() {
        // One for each usable clone; two for the other two.
        expect(namelessOn(disk.path)).toHaveLength(6);
        for (const path of paths) changes['pages are written']?.(path);
      },
    });
    const saved = await savedContent(repository, result);
    expect(names.map((name) => digest(saved.get(name) ?? Buffer.alloc(0)))).toEqual(still);
    expect(namelessOn(disk.path)).toEqual([]);
  },
);

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
