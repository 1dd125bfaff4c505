import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dice, seed } from '../../../test/faults/seeded.ts';
import { treeFacts } from '../../../test/support/tree-facts.ts';
import { fromText } from '../../model/byte-string.ts';
import { changeSomething } from '../../../test/fixtures/tree-changes.ts';
import { TreeMirror } from './tree-mirror.ts';

let folder: string;
let from: string;
let to: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mirror-'));
  from = join(folder, 'from');
  to = join(folder, 'to');
  mkdirSync(join(from, 'a/b'), { recursive: true });
  mkdirSync(to);
  writeFileSync(join(from, 'one'), 'one');
  writeFileSync(join(from, 'a/two'), 'two');
  writeFileSync(join(from, 'a/b/three'), 'three');
  linkSync(join(from, 'one'), join(from, 'a/one'));
  symlinkSync('nowhere', join(from, 'link'));
  writeFileSync(join(from, 'sparse'), '');
  truncateSync(join(from, 'sparse'), 1 << 20);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const mirror = (): TreeMirror => new TreeMirror(fromText(from), fromText(to));
/** A recent change is not trusted, and copied again. */
const settle = (): Promise<void> => sleep(1200);

test('a second pass copies only what has changed, and nothing when nothing has', async () => {
  await settle();
  using copy = mirror();
  expect(await copy.pass({ isStill: false })).toMatchObject({ files: 6 });
  expect(await copy.pass({ isStill: false })).toMatchObject({ files: 0, bytes: 0 });
  appendFileSync(join(from, 'a/two'), ' and more');
  expect(await copy.pass({ isStill: false })).toMatchObject({ files: 1, bytes: 12 });
  const told: number[] = [];
  await copy.proveNames({ onProgress: (files) => told.push(files) });
  expect(told).toEqual([1, 2, 3, 4, 5]);
  expect(treeFacts(to)).toEqual(treeFacts(from));
});

test('a file changed just before it was read is copied again: a further write may leave no trace', async () => {
  using copy = mirror();
  await copy.pass({ isStill: false });
  // The large one is compared in place.
  expect(await copy.pass({ isStill: true })).toMatchObject({ files: 5 });
});

test('everything that can change between passes ends up the same', async () => {
  await settle();
  using copy = mirror();
  await copy.pass({ isStill: false });
  // Types change, names go, links come, a folder moves, only metadata changes, and times are set back.
  rmSync(join(from, 'a/b'), { recursive: true });
  writeFileSync(join(from, 'a/b'), 'was a folder');
  unlinkSync(join(from, 'link'));
  mkdirSync(join(from, 'link/deep'), { recursive: true });
  writeFileSync(join(from, 'link/deep/new'), 'was a link');
  linkSync(join(from, 'one'), join(from, 'link/deep/third name'));
  renameSync(join(from, 'a'), join(from, 'moved'));
  unlinkSync(join(from, 'one'));
  writeFileSync(join(from, 'one'), 'another file');
  chmodSync(join(from, 'sparse'), 0o4711);
  utimesSync(join(from, 'moved'), 1, 2);
  chmodSync(from, 0o2750);
  await copy.pass({ isStill: true });
  await copy.proveNames();
  expect(treeFacts(to)).toEqual(treeFacts(from));
});

test('names that are swapped between two files of one size and time are seen', async () => {
  writeFileSync(join(from, 'a/owt'), 'owt');
  for (const name of ['two', 'owt']) utimesSync(join(from, 'a', name), 5, 5);
  await settle();
  using copy = mirror();
  await copy.pass({ isStill: false });
  renameSync(join(from, 'a/two'), join(from, 'a/t'));
  renameSync(join(from, 'a/owt'), join(from, 'a/two'));
  renameSync(join(from, 'a/t'), join(from, 'a/owt'));
  await copy.pass({ isStill: true });
  await copy.proveNames();
  expect(treeFacts(to)).toEqual(treeFacts(from));
});

test('a wrong copy is detected: a byte, a mode, a missing link, a missing file', async () => {
  await settle();
  const spoil: Record<string, () => void> = {
    content: () => {
      writeFileSync(join(to, 'a/b/new'), 'nEw');
      utimesSync(join(to, 'a/b/new'), 5, 5);
    },
    mode: () => chmodSync(join(to, 'a/b/new'), 0o600),
    linked: () => {
      unlinkSync(join(to, 'a/b/twin'));
      writeFileSync(join(to, 'a/b/twin'), 'new');
    },
    missing: () => unlinkSync(join(to, 'a/b/new')),
  };
  for (const [words, act] of Object.entries(spoil)) {
    rmSync(to, { recursive: true });
    mkdirSync(to);
    for (const name of ['new', 'twin']) rmSync(join(from, 'a/b', name), { force: true });
    let isSpoiled = false;
    // Called when the file has its place, and before it is compared.
    const onProgress = ({ files }: { files: number }): void => {
      if (files === 0 || isSpoiled || !existsSync(join(to, words === 'linked' ? 'a/b/twin' : 'a/b/new')))
        return;
      isSpoiled = true;
      act();
    };
    using copy = new TreeMirror(fromText(from), fromText(to), { onProgress });
    await copy.pass({ isStill: false });
    writeFileSync(join(from, 'a/b/new'), 'new');
    utimesSync(join(from, 'a/b/new'), 5, 5);
    linkSync(join(from, 'a/b/new'), join(from, 'a/b/twin'));
    await expect(copy.pass({ isStill: true }), words).rejects.toMatchObject({ code: 'integrity' });
  }
});

test('a name too many and one too few are detected, everywhere or only where something changed', async () => {
  using copy = mirror();
  await copy.pass({ isStill: false });
  writeFileSync(join(to, 'a/more'), '');
  await expect(copy.proveNames()).rejects.toMatchObject({ code: 'integrity' });
  appendFileSync(join(from, 'a/two'), ' and more');
  await expect(copy.pass({ isStill: true })).rejects.toThrow('"a/more" is not right: it is not to be there');
  unlinkSync(join(to, 'a/more'));
  await copy.proveNames();
  unlinkSync(join(to, 'link'));
  await expect(copy.proveNames()).rejects.toThrow('"link" is not right: it is missing');
});

describe('a large file', () => {
  const large = 3 * (1 << 20) + 12_345;
  const path = (): string => join(from, 'a/large');
  beforeEach(async () => {
    writeFileSync(path(), randomBytes(large));
    await settle();
  });
  const writeAt = (offset: number, bytes: Uint8Array): void => {
    const fd = openSync(path(), 'r+');
    writeSync(fd, bytes, 0, bytes.length, offset);
    closeSync(fd);
  };
  const expectSame = (): void => {
    expect(readFileSync(join(to, 'a/large')).equals(readFileSync(path()))).toBe(true);
    expect(treeFacts(to)).toEqual(treeFacts(from));
  };

  test('of which a few pages change is mended in those, whatever times it is given', async () => {
    using copy = mirror();
    await copy.pass({ isStill: false });
    const { ino } = statSync(join(to, 'a/large'));
    writeAt(1 << 20, randomBytes(8192));
    utimesSync(path(), 5, 5);
    chmodSync(path(), 0o4640);
    expect(await copy.pass({ isStill: true })).toMatchObject({ files: 0, bytes: 8192 });
    expect(statSync(join(to, 'a/large')).ino).toBe(ino);
    expectSame();
  });

  test('that is truncated and grows again, with its old bytes, has them', async () => {
    const bytes = readFileSync(path());
    using copy = mirror();
    await copy.pass({ isStill: false });
    truncateSync(path(), 2_000_000);
    await copy.pass({ isStill: false });
    writeFileSync(path(), bytes);
    await copy.pass({ isStill: false });
    truncateSync(path(), 1_500_000);
    truncateSync(path(), large);
    await copy.pass({ isStill: true });
    expectSame();
  });

  test('that was replaced under its name, or is a further name, is the right one', async () => {
    using copy = mirror();
    await copy.pass({ isStill: false });
    linkSync(path(), join(from, 'z'));
    await copy.pass({ isStill: false });
    renameSync(path(), join(from, 'other'));
    writeFileSync(path(), randomBytes(large));
    await copy.pass({ isStill: false });
    unlinkSync(path());
    linkSync(join(from, 'z'), path());
    unlinkSync(join(from, 'other'));
    writeAt(300_000, randomBytes(10));
    await copy.pass({ isStill: true });
    await copy.proveNames();
    expectSame();
  });

  test('with holes keeps them, old and new ones', async () => {
    using copy = mirror();
    truncateSync(path(), 64 << 20);
    writeAt(40 << 20, randomBytes(5000));
    await copy.pass({ isStill: false });
    writeAt(50 << 20, randomBytes(5000));
    await copy.pass({ isStill: false });
    expectSame();
    execFileSync('fallocate', ['--punch-hole', '-o', '1M', '-l', '1M', path()]);
    await copy.pass({ isStill: true });
    expectSame();
  });
});

test('hundreds of random changes between passes are all there', { timeout: 120_000 }, async () => {
  using copy = mirror();
  const random = dice('mirror');
  for (let round = 0; round < 12; round++) {
    for (let change = 0; change < 25; change++) changeSomething(from, random);
    await copy.pass({ isStill: round % 3 === 2 });
    await copy.proveNames();
    expect(treeFacts(to), `seed ${seed}, round ${round}`).toEqual(treeFacts(from));
  }
});

test('a cancelled pass ends', async () => {
  const cancel = new AbortController();
  using copy = new TreeMirror(fromText(from), fromText(to), { signal: cancel.signal });
  cancel.abort();
  await expect(copy.pass({ isStill: false })).rejects.toMatchObject({ code: 'cancelled' });
});
