import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { treeFacts } from '../../test/support/tree-facts.ts';
import { fromText } from '../model/byte-string.ts';
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
/** What was changed just now is not trusted, and copied once more. */
const settle = (): Promise<void> => sleep(1200);

test('a second pass copies only what has changed, and nothing when nothing has', async () => {
  await settle();
  const copy = mirror();
  expect(await copy.pass({ isStill: false })).toMatchObject({ files: 6 });
  expect(await copy.pass({ isStill: false })).toMatchObject({ files: 0, bytes: 0 });
  appendFileSync(join(from, 'a/two'), ' and more');
  expect(await copy.pass({ isStill: false })).toMatchObject({ files: 1, bytes: 12 });
  await copy.prove({ isStill: true });
  expect(treeFacts(to)).toEqual(treeFacts(from));
});

test('what was changed just before it was read is copied again: more may be written without a trace', async () => {
  const copy = mirror();
  await copy.pass({ isStill: false });
  expect(await copy.pass({ isStill: true })).toMatchObject({ files: 6 });
});

test('everything that can change between passes ends up the same', async () => {
  await settle();
  const copy = mirror();
  await copy.pass({ isStill: false });
  // Kinds change places, names go, links come, a folder moves, metadata alone changes, and times are set back.
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
  await copy.prove({ isStill: true });
  expect(treeFacts(to)).toEqual(treeFacts(from));
});

test('names that are swapped between two files of one size and time are seen', async () => {
  writeFileSync(join(from, 'a/owt'), 'owt');
  for (const name of ['two', 'owt']) utimesSync(join(from, 'a', name), 5, 5);
  await settle();
  const copy = mirror();
  await copy.pass({ isStill: false });
  renameSync(join(from, 'a/two'), join(from, 'a/t'));
  renameSync(join(from, 'a/owt'), join(from, 'a/two'));
  renameSync(join(from, 'a/t'), join(from, 'a/owt'));
  await copy.pass({ isStill: true });
  await copy.prove({ isStill: true });
  expect(treeFacts(to)).toEqual(treeFacts(from));
});

test('a copy that is not right is found out: a byte, a mode, a name too many, a link that is none', async () => {
  await settle();
  const spoil: Record<string, () => void> = {
    content: () => writeFileSync(join(to, 'a/two'), 'twO'),
    mode: () => chmodSync(join(to, 'a/b'), 0o700),
    'not to be there': () => writeFileSync(join(to, 'more'), ''),
    missing: () => unlinkSync(join(to, 'link')),
    linked: () => {
      unlinkSync(join(to, 'one'));
      writeFileSync(join(to, 'one'), 'one');
    },
  };
  for (const [words, act] of Object.entries(spoil)) {
    rmSync(to, { recursive: true });
    mkdirSync(to);
    const copy = mirror();
    await copy.pass({ isStill: true });
    await copy.prove({ isStill: true });
    act();
    if (words === 'content') utimesSync(join(to, 'a/two'), new Date(), new Date());
    await expect(copy.prove({ isStill: true }), words).rejects.toMatchObject({ code: 'integrity' });
  }
});

test('while the source is in use, a wrong copy of what has not changed is found out, and what changes is passed over', async () => {
  await settle();
  const copy = mirror();
  await copy.pass({ isStill: false });
  appendFileSync(join(from, 'a/two'), ' and more');
  await copy.prove({ isStill: false });
  writeFileSync(join(to, 'a/b/three'), 'THREE');
  await expect(copy.prove({ isStill: false })).rejects.toMatchObject({ code: 'integrity' });
});

test('a cancelled pass ends', async () => {
  const cancel = new AbortController();
  const copy = new TreeMirror(fromText(from), fromText(to), { signal: cancel.signal });
  cancel.abort();
  await expect(copy.pass({ isStill: false })).rejects.toMatchObject({ code: 'cancelled' });
});
