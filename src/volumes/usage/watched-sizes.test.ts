import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  existsSync,
  openSync,
  readdirSync,
  readlinkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fromText } from '../../model/byte-string.ts';
import { growByAsynchronousIo } from '../../../test/fixtures/asynchronous-io.ts';
import { measureTree } from '../../lib/measure-tree.ts';
import { appendOld, RandomTree, setOld, walkedBytes, writeOld } from '../../../test/fixtures/random-tree.ts';
import { DirectoryScanner } from '../../lib/scan-directory.ts';
import { WatchedSizes } from './watched-sizes.ts';
import { WatchedTree } from './watched-tree.ts';
import { Inotify, Watches } from './watches.ts';

let base: string;
let root: string;
let sizes: WatchedSizes;
/** How far the steady clock is ahead, in minutes. */
let minutesPassed: number;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'watched-'));
  root = join(base, 'volume');
  mkdirSync(root);
  minutesPassed = 0;
  sizes = newSizes();
});
afterEach(async () => {
  await sizes[Symbol.asyncDispose]();
  rmSync(base, { recursive: true, force: true });
});

test('a directory whose parent is replaced by a link while it is measured is still found in the one that was', async () => {
  mkdirSync(join(root, 'a/b'), { recursive: true });
  mkdirSync(join(base, 'outside/b'), { recursive: true });
  writeOld(join(root, 'a/b/two'), 20);
  writeOld(join(base, 'outside/b/other'), 5000);
  using inotify = Inotify.open();
  if (inotify === undefined) throw new Error('there is no inotify');
  const scanner = new DirectoryScanner();
  const next = scanner.next.bind(scanner);
  let readings = 0;
  scanner.next = (fd, on) => {
    const state = next(fd, on);
    // Once the names in "a" are read, before "b" is opened.
    if (state === 'end' && ++readings === 2) {
      renameSync(join(root, 'a'), join(root, 'moved'));
      symlinkSync(join(base, 'outside'), join(root, 'a'));
    }
    return state;
  };
  const clock = { steadyMs: () => 0, nowSeconds: () => Date.now() / 1000, random: () => 0 };
  const at = statSync(root, { bigint: true });
  using tree = new WatchedTree(fromText(root), at, { watches: new Watches(inotify, 100), scanner, clock });
  expect(await tree.size(undefined)).toEqual({ bytes: 20, files: 1 });
});

describe('the second answer includes what happens between two questions', () => {
  beforeEach(async () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    mkdirSync(join(base, 'outside'));
    writeOld(join(root, 'a/one'), 100);
    writeOld(join(root, 'a/b/two'), 20);
    writeOld(join(root, 'three'), 3);
    expect(await measure()).toBe(123);
    expect(sizes.watched).toBe(3);
  });
  afterEach(async () => {
    expect(await measure()).toBe(walkedBytes(root));
    expect(await measure()).toBe(walkedBytes(root));
  });

  test('growth in place, and a time that is set back', async () => {
    appendOld(join(root, 'a/b/two'), 5);
    expect(await measure()).toBe(128);
    appendOld(join(root, 'a/b/two'), 5);
    expect(await measure()).toBe(133);
  });

  test('a file that is open all the time', async () => {
    using file = opened(join(root, 'three'));
    for (let turn = 1; turn <= 3; turn++) {
      writeSync(file.fd, 'x', 2 + turn);
      setOld(join(root, 'three'));
      expect(await measure()).toBe(123 + turn);
    }
  });

  test('truncation', async () => {
    truncateSync(join(root, 'a/one'), 1);
    setOld(join(root, 'a/one'));
    expect(await measure()).toBe(24);
  });

  test('new and removed files, directories and links', async () => {
    mkdirSync(join(root, 'new/deep/tree'), { recursive: true });
    writeOld(join(root, 'new/deep/tree/file'), 1000);
    symlinkSync('/nowhere/at/all', join(root, 'new/link'));
    execFileSync('mkfifo', [join(root, 'new/pipe')]);
    expect(await measure()).toBe(1138);
    appendOld(join(root, 'new/deep/tree/file'), 1);
    expect(await measure()).toBe(1139);
    rmSync(join(root, 'new'), { recursive: true });
    rmSync(join(root, 'three'));
    expect(await measure()).toBe(120);
    expect(sizes.watched).toBe(3);
  });

  test('renames into the volume, out of it, and within it', async () => {
    mkdirSync(join(base, 'outside/deep'));
    writeOld(join(base, 'outside/deep/file'), 7000);
    renameSync(join(base, 'outside/deep'), join(root, 'a/deep'));
    expect(await measure()).toBe(7123);
    renameSync(join(root, 'a'), join(root, 'c'));
    appendOld(join(root, 'c/deep/file'), 1);
    expect(await measure()).toBe(7124);
    appendOld(join(root, 'c/b/two'), 1);
    expect(await measure()).toBe(7125);
    renameSync(join(root, 'c'), join(base, 'outside/c'));
    expect(await measure()).toBe(3);
    appendOld(join(base, 'outside/c/b/two'), 1);
    expect(await measure()).toBe(3);
  });

  test('two directories that change places, and back', async () => {
    mkdirSync(join(root, 'd/e'), { recursive: true });
    writeOld(join(root, 'd/e/file'), 50);
    await measure();
    for (let turn = 0; turn < 3; turn++) {
      renameSync(join(root, 'a'), join(root, 'x'));
      renameSync(join(root, 'd'), join(root, 'a'));
      renameSync(join(root, 'x'), join(root, 'd'));
      appendOld(join(root, turn % 2 === 0 ? 'a/e/file' : 'd/e/file'), 1);
      expect(await measure()).toBe(174 + turn);
    }
  });

  test('hard links are counted once, wherever their other name is, and a write through any of their names', async () => {
    // The directory of the first name gets no event for the new one.
    linkSync(join(root, 'a/one'), join(root, 'a/b/same'));
    expect(await measure()).toBe(123);
    appendOld(join(root, 'a/b/same'), 9);
    expect(await measure()).toBe(132);
    linkSync(join(root, 'three'), join(base, 'outside/three'));
    linkSync(join(root, 'three'), join(root, 'a/b/third'));
    expect(await measure()).toBe(132);
    appendOld(join(base, 'outside/three'), 1);
    expect(await measure()).toBe(133);
    rmSync(join(root, 'three'));
    expect(await measure()).toBe(133);
    rmSync(join(root, 'a/one'));
    rmSync(join(root, 'a/b/same'));
    expect(await measure()).toBe(24);
  });

  test('the volume is replaced by another directory of the same name', async () => {
    mkdirSync(join(base, 'other'));
    writeOld(join(base, 'other/file'), 5);
    renameSync(root, join(base, 'before'));
    renameSync(join(base, 'other'), root);
    expect(await measure()).toBe(5);
    rmSync(root, { recursive: true });
    expect(await measure()).toBeUndefined();
    mkdirSync(root);
    expect(await measure()).toBe(0);
  });

  test('names that are not valid text', async () => {
    const name = Buffer.concat([Buffer.from(`${root}/a/`), Buffer.from([0x62, 0xff, 0x0a, 0x27])]);
    mkdirSync(name);
    const file = Buffer.concat([name, Buffer.from([0x2f, 0xfe, 0x5c, 0x0a])]);
    writeFileSync(file, Buffer.alloc(70_000));
    expect(await measure()).toBe(70_123);
    appendFileSync(file, 'x');
    expect(await measure()).toBe(70_124);
    rmSync(file);
    expect(await measure()).toBe(123);
  });
});

test('a large file that grows by asynchronous I/O, which sends no event', async () => {
  writeOld(join(root, 'large'), 1 << 20);
  using file = opened(join(root, 'large'));
  expect(await measure()).toBe(1 << 20);
  for (let turn = 1; turn <= 3; turn++) {
    growByAsynchronousIo(file.fd, 4096);
    expect(await measure()).toBe((1 << 20) + turn * 4096);
  }
});

test('a small file that was written to a moment ago, and grows by asynchronous I/O', async () => {
  writeFileSync(join(root, 'young'), 'x');
  using file = opened(join(root, 'young'));
  expect(await measure()).toBe(1);
  growByAsynchronousIo(file.fd, 10);
  expect(await measure()).toBe(11);
});

test('a change without an event is seen after ten minutes', async () => {
  for (let number = 0; number < 20; number++) {
    mkdirSync(join(root, `d${number}`));
    writeOld(join(root, `d${number}/file`), 100);
  }
  using file = opened(join(root, 'd7/file'));
  expect(await measure()).toBe(2000);
  growByAsynchronousIo(file.fd, 4096);
  expect(await measure()).toBe(2000);
  minutesPassed = 4.9;
  expect(await measure()).toBe(2000);
  minutesPassed = 10.1;
  expect(await measure()).toBe(6096);
});

test('trees beyond the limit of watches are walked, and other volumes are still watched', async () => {
  await using few = newSizes(4);
  const second = join(base, 'second');
  mkdirSync(join(second, 'one'), { recursive: true });
  writeOld(join(second, 'one/file'), 10);
  for (let number = 0; number < 20; number++) mkdirSync(join(root, `d${number}/e`), { recursive: true });
  writeOld(join(root, 'd3/e/file'), 50);
  const ask = async (): Promise<unknown> => await few.measure([fromText(root), fromText(second)]);
  expect(await ask()).toEqual([50, 10]);
  expect(few.watched).toBe(2);
  expect(await few.measureWatched([fromText(root), fromText(second), fromText(join(base, 'none'))])).toEqual([
    expect.objectContaining({ reason: 'there are too many directories' }),
    { bytes: 10, files: 1 },
    { reason: 'it cannot be opened' },
  ]);
  appendOld(join(root, 'd3/e/file'), 1);
  appendOld(join(second, 'one/file'), 1);
  expect(await ask()).toEqual([51, 11]);
  rmSync(second, { recursive: true });
  expect(await few.measure([fromText(root)])).toEqual([51]);
  expect(few.watched).toBe(0);
});

test('all is read again once the kernel has lost events', async () => {
  const count = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'latin1')) / 2 + 50;
  using memory = folderInMemory();
  const ask = (): Promise<unknown> => sizes.measure([fromText(memory.path)]);
  for (let number = 0; number < count; number++) mkdirSync(join(memory.path, `d${number}`));
  expect(await ask()).toEqual([0]);
  expect(sizes.watched).toBe(count + 1);
  for (let number = 0; number < count; number++) writeOld(join(memory.path, `d${number}/file`), 1);
  expect(await ask()).toEqual([count]);
  appendOld(join(memory.path, 'd5/file'), 1);
  expect(await ask()).toEqual([count + 1]);
});

test('trees that are too deep, or that an overlay may write to, are walked', async () => {
  const deep = join(root, ...Array.from({ length: 120 }, (_, level) => `d${level}`));
  mkdirSync(deep, { recursive: true });
  writeOld(join(deep, 'file'), 10);
  expect(await measure()).toBe(10);
  expect(sizes.watched).toBe(0);
  rmSync(join(root, 'd0'), { recursive: true });
  mkdirSync(join(root, 'overlay/work/work'), { recursive: true });
  chmodSync(join(root, 'overlay/work/work'), 0);
  minutesPassed = 11;
  expect(await measure()).toBe(0);
  expect(sizes.watched).toBe(0);
});

test('a cancelled question does no harm to the next', async () => {
  using memory = folderInMemory();
  for (let number = 0; number < 3000; number++) {
    mkdirSync(join(memory.path, `d${number}`));
    writeFileSync(join(memory.path, `d${number}/file`), 'x');
  }
  let cancelled = 0;
  for (let turn = 0; turn < 5; turn++) {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), turn * 10);
    await sizes.measure([fromText(memory.path)], stop.signal).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'cancelled' });
      cancelled += 1;
    });
    appendFileSync(join(memory.path, `d${turn * 500}/file`), 'x');
  }
  expect(cancelled).toBeGreaterThan(0);
  expect(await sizes.measure([fromText(memory.path)])).toEqual([3005]);
});

test('closing releases the watches, and later questions are walked', async () => {
  const open = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      const path = join('/proc/self/fd', fd);
      return existsSync(`/proc/self/fdinfo/${fd}`) && readlinkSync(path).includes('inotify');
    }).length;
  const before = open();
  writeOld(join(root, 'file'), 5);
  expect(await measure()).toBe(5);
  expect(open()).toBe(before + 1);
  await sizes[Symbol.asyncDispose]();
  expect(open()).toBe(before);
  appendOld(join(root, 'file'), 1);
  expect(await measure()).toBe(6);
  expect(open()).toBe(before);
});

test('an unreadable directory is left out, as in a walk, and seen when it can be read', async () => {
  const [closed, unsearchable] = [join(root, 'closed'), join(root, 'unsearchable')];
  for (const folder of [closed, unsearchable]) {
    mkdirSync(join(folder, 'below'), { recursive: true });
    writeOld(join(folder, 'below/file'), 100);
    writeOld(join(folder, 'file'), 20);
  }
  writeOld(join(root, 'file'), 3);
  chmodSync(base, 0o755);
  const expected: readonly (readonly [mode: number, searchMode: number, bytes: number])[] = [
    [0o000, 0o755, 123],
    [0o755, 0o444, 123],
    [0o755, 0o755, 243],
    [0o000, 0o444, 3],
    [0o755, 0o755, 243],
  ];
  for (const [mode, searchMode, bytes] of expected) {
    chmodSync(closed, mode);
    chmodSync(unsearchable, searchMode);
    using _nobody = asNobody();
    expect(await measure()).toBe(bytes);
    expect(await measure()).toBe(bytes);
    expect(sizes.watched).toBeGreaterThan(0);
    expect(await measureTree(fromText(root))).toMatchObject({ bytes });
  }
});

test('a volume that is reached by two paths is right by both', async () => {
  const alias = join(base, 'alias');
  symlinkSync(root, alias);
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeOld(join(root, 'a/b/file'), 5);
  for (let turn = 0; turn < 4; turn++) {
    expect(await sizes.measure([fromText(root), fromText(alias)])).toEqual([5 + turn, 5 + turn]);
    appendOld(join(root, 'a/b/file'), 1);
  }
});

test('simultaneous questions are answered one after the other', async () => {
  writeOld(join(root, 'file'), 5);
  expect(await Promise.all([measure(), measure(), measure()])).toEqual([5, 5, 5]);
});

test('after thousands of random changes each answer equals that of a walk', async () => {
  const outside = join(base, 'outside');
  mkdirSync(outside);
  const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? randomInt(2 ** 31));
  const tree = new RandomTree({ root, outside }, seed);
  for (let step = 0; step < 2000; step++) {
    tree.change();
    if (tree.random() < 0.02) minutesPassed += 2;
    if (tree.random() < 0.3) continue;
    expect(await measure(), `after step ${step} of HOLDFAST_TEST_SEED=${seed}`).toBe(walkedBytes(root));
  }
  expect(sizes.watched).toBeGreaterThan(0);
});

function newSizes(limit?: number): WatchedSizes {
  return new WatchedSizes({
    limit,
    clock: {
      steadyMs: () => performance.now() + minutesPassed * 60_000,
      nowSeconds: () => Date.now() / 1000,
      random: Math.random,
    },
  });
}

async function measure(): Promise<number | undefined> {
  const [bytes] = await sizes.measure([fromText(root)]);
  const [watched] = await sizes.measureWatched([fromText(root)]);
  if (watched !== undefined && 'files' in watched) {
    const { files, others } = await measureTree(fromText(root));
    expect(watched).toEqual({ bytes, files: files + others });
  }
  return bytes;
}

/** Drops root, which can read everything. */
function asNobody(): Disposable {
  if (process.getuid?.() !== 0) return { [Symbol.dispose]: () => undefined };
  process.seteuid?.(65_534);
  return { [Symbol.dispose]: () => process.seteuid?.(0) };
}

/** In memory, because so many directories take long on a disk. */
function folderInMemory(): Disposable & { readonly path: string } {
  const path = mkdtempSync('/dev/shm/watched-');
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

function opened(path: string): Disposable & { readonly fd: number } {
  const fd = openSync(path, 'r+');
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}
