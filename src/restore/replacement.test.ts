import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  dropAll,
  type MemberRequest,
  openReplacement,
  type Replacement,
  takeAllBack,
} from './replacement.ts';
import { type JournalMember, listJournals, type RestoreJournal, writeJournal } from './restore-journal.ts';
import { isSwappedIn, prepareSwap, swapIn, swapOut } from './swap.ts';
import { dropUndo, isUndoable, listUndoRecords } from '../volumes/undo-records.ts';
import { isStagePath } from '../lib/stage-names.ts';

let folder: string;
let stateDir: string;
let root: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-stage-'));
  stateDir = join(folder, 'state');
  root = makeRoot('vol');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function makeRoot(name: string): string {
  const made = join(folder, name, '_data');
  mkdirSync(made, { recursive: true });
  writeFileSync(join(made, 'both'), 'old');
  writeFileSync(join(made, 'only-old'), 'old');
  return made;
}

function fill(at: string): void {
  mkdirSync(at, { recursive: true, mode: 0o750 });
  writeFileSync(join(at, 'both'), 'new');
  writeFileSync(join(at, 'only-new'), 'new');
  utimesSync(at, 1000, 1000);
}

function content(of = root): Record<string, string> {
  return Object.fromEntries(readdirSync(of).map((name) => [name, readFileSync(join(of, name), 'utf8')]));
}

const oldContent = { both: 'old', 'only-old': 'old' };
const newContent = { both: 'new', 'only-new': 'new' };

function leftovers(): string[] {
  const journal = join(stateDir, 'journal');
  return [
    ...readdirSync(dirname(root)),
    ...(existsSync(root) ? readdirSync(root) : []),
    ...(existsSync(journal) ? readdirSync(journal) : []),
  ].filter((name) => name.includes('restore'));
}

function member(request: Partial<MemberRequest> = {}): MemberRequest {
  return { kind: 'volume', name: 'vol', identity: 'vol', root, ...request };
}

async function open(...members: MemberRequest[]): Promise<Replacement> {
  const about = { action: 'restore', hostIdentity: undefined, snapshotIds: ['s'] } as const;
  return await openReplacement({ stateDir, ...about, members: members.length > 0 ? members : [member()] });
}

const now = new Date('2026-01-01T00:00:00Z');
const keepUntil = '2026-01-08T00:00:00.000Z';

describe('openReplacement()', () => {
  test('swaps the new tree in as a whole, with its own metadata, and leaves nothing behind', async () => {
    {
      await using replacement = await open();
      fill(replacement.newPaths[0] ?? '');
      expect(content()).toEqual(oldContent);
      await replacement.swap([]);
      await replacement.commit(now);
    }
    expect(content()).toEqual(newContent);
    expect(lstatSync(root).mode & 0o777).toBe(0o750);
    expect(lstatSync(root).mtimeMs).toBe(1_000_000);
    expect(leftovers()).toEqual([]);
    expect(await listUndoRecords(stateDir)).toEqual([]);
  });

  test('changes nothing when it is given up before or after the swap', async () => {
    utimesSync(root, 2000, 2000);
    for (const isSwapped of [false, true]) {
      {
        await using replacement = await open();
        fill(replacement.newPaths[0] ?? '');
        if (isSwapped) await replacement.swap([]);
        expect(content()).toEqual(isSwapped ? newContent : oldContent);
      }
      expect(content()).toEqual(oldContent);
      expect(lstatSync(root).mtimeMs).toBe(2_000_000);
      expect(leftovers()).toEqual([]);
    }
  });

  test('takes everything back when one of several places fails', async () => {
    const other = makeRoot('other');
    await using replacement = await open(member(), member({ name: 'other', identity: 'other', root: other }));
    for (const path of replacement.newPaths) fill(path);
    // The second place vanishes in the middle of the swap.
    const journal = replacement.swap([]);
    rmSync(dirname(other), { recursive: true });
    await expect(journal).rejects.toThrow();
    await replacement.takeBack().catch(() => undefined);
    expect(content()).toEqual(oldContent);
  });

  test('makes a missing directory, and removes it again', async () => {
    root = join(folder, 'vol/fresh');
    {
      await using replacement = await open(member({ root }));
      fill(replacement.newPaths[0] ?? '');
      await replacement.swap([]);
      expect(content()).toEqual(newContent);
    }
    expect(existsSync(root)).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test('replaces a single entry, and resets the mtime of its folder when it is given up', async () => {
    utimesSync(root, 2000, 2000);
    {
      await using replacement = await open(member({ part: 'both' }));
      writeFileSync(replacement.newPaths[0] ?? '', 'part');
      await replacement.swap([]);
      expect(content()).toEqual({ both: 'part', 'only-old': 'old' });
    }
    expect(content()).toEqual(oldContent);
    expect(lstatSync(root).mtimeMs).toBe(2_000_000);
  });

  test('never replaces an entry through a symbolic link', async () => {
    mkdirSync(join(folder, 'outside'));
    symlinkSync(join(folder, 'outside'), join(root, 'link'));
    await using replacement = await open(member({ part: 'link/file' }));
    writeFileSync(replacement.newPaths[0] ?? '', 'part');
    await expect(replacement.swap([])).rejects.toMatchObject({ code: 'conflict' });
    expect(readdirSync(join(folder, 'outside'))).toEqual([]);
  });

  test('refuses to replace a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(open(member({ root: join(folder, 'file') }))).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('what a replacement keeps', () => {
  async function restoreKeeping(): Promise<void> {
    await using replacement = await open(member({ keepUntil }));
    fill(replacement.newPaths[0] ?? '');
    await replacement.swap([]);
    await replacement.commit(now);
  }

  test('comes back by a swap with it, and the other way round', async () => {
    await restoreKeeping();
    expect(content()).toEqual(newContent);
    for (const [isUndone, expected] of [
      [true, oldContent],
      [false, newContent],
    ] as const) {
      const [record] = await listUndoRecords(stateDir);
      expect(record).toMatchObject({ name: 'vol', until: keepUntil, isUndone: !isUndone });
      if (record === undefined) return;
      await using undo = await open(member({ kept: record, keepUntil: record.until }));
      await undo.swap([]);
      await undo.commit(now);
      expect(content()).toEqual(expected);
    }
    const [record] = await listUndoRecords(stateDir);
    if (record !== undefined) await dropUndo(stateDir, record);
    expect(leftovers()).toEqual([]);
  });

  test('is dropped only where it is the kept data, and not what another user has put in its place', async () => {
    await restoreKeeping();
    const [record] = await listUndoRecords(stateDir);
    if (record === undefined) throw new Error('nothing is kept');
    const victim = join(folder, 'victim');
    mkdirSync(join(victim, 'new'), { recursive: true });
    writeFileSync(join(victim, 'new/file'), '');
    renameSync(record.stage, `${record.stage}-aside`);
    symlinkSync(victim, record.stage);
    await expect(dropUndo(stateDir, record)).rejects.toMatchObject({ code: 'conflict' });
    rmSync(record.stage);
    renameSync(victim, record.stage);
    await expect(dropUndo(stateDir, record)).rejects.toMatchObject({ code: 'conflict' });
    expect(readdirSync(join(record.stage, 'new'))).toEqual(['file']);
    expect(await listUndoRecords(stateDir)).toHaveLength(1);
    renameSync(record.stage, victim);
    renameSync(`${record.stage}-aside`, record.stage);
    await dropUndo(stateDir, record, { unlessWhole: true });
    expect(await isUndoable(record)).toBe(true);
    await dropUndo(stateDir, record);
    expect(existsSync(record.stage)).toBe(false);
    expect(await listUndoRecords(stateDir)).toEqual([]);
  });

  test('is dropped with all that lies beside it in its folder, and its record where the folder is gone', async () => {
    for (const isGone of [false, true]) {
      await restoreKeeping();
      const [record] = await listUndoRecords(stateDir);
      if (record === undefined) throw new Error('nothing is kept');
      mkdirSync(join(record.stage, 'root-before'));
      if (isGone) rmSync(record.stage, { recursive: true });
      await dropUndo(stateDir, record);
      expect(existsSync(record.stage)).toBe(false);
      expect(await listUndoRecords(stateDir)).toEqual([]);
    }
  });

  test('is still there when an undo is given up', async () => {
    await restoreKeeping();
    const [record] = await listUndoRecords(stateDir);
    if (record === undefined) throw new Error('nothing is kept');
    {
      await using undo = await open(member({ kept: record, keepUntil: record.until }));
      await undo.swap([]);
    }
    expect(content()).toEqual(newContent);
    expect(await isUndoable(record)).toBe(true);
  });

  test('is dropped with the next restore of the same place', async () => {
    await restoreKeeping();
    const [first] = await listUndoRecords(stateDir);
    await restoreKeeping();
    const records = await listUndoRecords(stateDir);
    expect(records).toHaveLength(1);
    expect(records[0]?.stage).not.toBe(first?.stage);
    expect(existsSync(first?.stage ?? '')).toBe(false);
  });

  test('is dropped before the journal, so that a kill in between leaves it to the next command', async () => {
    await restoreKeeping();
    const [first] = await listUndoRecords(stateDir);
    for (let i = 0; i < 3000; i++) writeFileSync(join(first?.stage ?? '', 'new', `file-${i}`), '');
    const states: string[] = [];
    const isWatched = { on: true };
    const watching = (async () => {
      for (; isWatched.on; await setImmediate()) {
        const isThere = existsSync(first?.stage ?? '');
        const journals = readdirSync(join(stateDir, 'journal')).length;
        const state = `${isThere ? 'kept' : 'gone'}, ${journals} journals`;
        if (states.at(-1) !== state) states.push(state);
      }
    })();
    await restoreKeeping();
    isWatched.on = false;
    await watching;
    expect(existsSync(first?.stage ?? '')).toBe(false);
    const since = states.slice(states.indexOf('kept, 1 journals'));
    expect(since[0]).toBe('kept, 1 journals');
    expect(since).not.toContain('kept, 0 journals');
  });
});

/** The states of the file system that a kill leaves at each step of a swap. */
describe('swapIn() and swapOut(), after a kill,', () => {
  const stageName = '.holdfast-restore-0123456789abcdef';

  function journalled(place: 'beside' | 'inside'): JournalMember {
    const stage = join(place === 'beside' ? dirname(root) : root, stageName);
    fill(join(stage, 'new'));
    const names = { oldNames: [], newNames: [] };
    const about = { kind: 'volume', name: 'vol', identity: 'vol', isKept: false, isCreated: false } as const;
    return { ...about, root, stage, place, ...names };
  }

  function visible(): Record<string, string> {
    return Object.fromEntries(
      readdirSync(root)
        .filter((name) => !isStagePath(name))
        .map((name) => [name, readFileSync(join(root, name), 'utf8')]),
    );
  }

  test('finish the swap from between the two steps that some file systems need', async () => {
    for (const [direction, expected] of [
      [swapIn, newContent],
      [swapOut, oldContent],
    ] as const) {
      const prepared = await prepareSwap(journalled('beside'));
      renameSync(root, join(prepared.stage, 'old'));
      await direction(prepared);
      await direction(prepared);
      expect(content()).toEqual(expected);
      expect(await isSwappedIn(prepared)).toBe(direction === swapIn);
      await swapOut(prepared);
      expect(content()).toEqual(oldContent);
      rmSync(prepared.stage, { recursive: true });
    }
  });

  test.each([0, 1, 2, 3, 4])(
    'finish or undo a swap name by name that stopped after %i steps',
    async (steps) => {
      utimesSync(root, 2000, 2000);
      for (const [direction, expected] of [
        [swapIn, newContent],
        [swapOut, oldContent],
      ] as const) {
        const prepared = await prepareSwap(journalled('inside'));
        const { stage, oldNames, newNames } = prepared;
        expect([oldNames, newNames]).toEqual([
          ['both', 'only-old'],
          ['both', 'only-new'],
        ]);
        const moves = [
          ...oldNames.map((name) => [join(root, name), join(stage, 'old', name)]),
          ...newNames.map((name) => [join(stage, 'new', name), join(root, name)]),
        ];
        for (const [from = '', to = ''] of moves.slice(0, steps)) renameSync(from, to);
        await direction(prepared);
        await direction(prepared);
        expect(visible()).toEqual(expected);
        expect(await isSwappedIn(prepared)).toBe(direction === swapIn);
        await swapOut(prepared);
        expect(visible()).toEqual(oldContent);
        rmSync(stage, { recursive: true });
      }
    },
  );

  test('make room in a mount point that has gone back, while its journal is there', async () => {
    const prepared = await prepareSwap(journalled('inside'));
    const journal: RestoreJournal = {
      ...{ id: '0123456789abcdef', action: 'restore', hostIdentity: undefined, step: 'swapping' },
      ...{ levels: [], members: [prepared], snapshotIds: [] },
    };
    await writeJournal(stateDir, journal);
    await swapIn(prepared);
    expect((await takeAllBack(stateDir, journal)).step).toBe('staging');
    expect([visible(), readdirSync(prepared.stage)]).toEqual([oldContent, []]);
    expect((await listJournals(stateDir)).map(({ step }) => step)).toEqual(['staging']);
    await dropAll(stateDir, journal);
    expect(existsSync(prepared.stage)).toBe(false);
  });

  test('leave old data alone whose new data was taken out of the stage', async () => {
    const prepared = await prepareSwap(journalled('inside'));
    rmSync(join(prepared.stage, 'new/both'));
    await swapOut(prepared);
    expect(visible()).toEqual(oldContent);
  });

  test('keep the old data in the stage where another program has moved the new away', async () => {
    const prepared = await prepareSwap(journalled('beside'));
    await swapIn(prepared);
    renameSync(root, join(folder, 'moved'));
    await expect(swapOut(prepared)).rejects.toMatchObject({ code: 'conflict' });
    expect(content(join(prepared.stage, 'new'))).toEqual(oldContent);
    mkdirSync(root);
    await expect(swapOut(prepared)).rejects.toMatchObject({ code: 'conflict' });
    expect(content(join(prepared.stage, 'new'))).toEqual(oldContent);
  });

  describe('of a part,', () => {
    /** `d/file` is to become "new". */
    async function preparedPart(): Promise<JournalMember> {
      const { stage, ...member } = journalled('beside');
      rmSync(join(stage, 'new'), { recursive: true });
      writeFileSync(join(stage, 'new'), 'new');
      mkdirSync(join(root, 'd'));
      writeFileSync(join(root, 'd/file'), 'old');
      return await prepareSwap({ ...member, stage, place: 'part', part: 'd/file' });
    }

    test('go back to the old data, and refuse where its folder was moved', async () => {
      const prepared = await preparedPart();
      await swapIn(prepared);
      expect(readFileSync(join(root, 'd/file'), 'utf8')).toBe('new');
      renameSync(join(root, 'd'), join(root, 'moved'));
      await expect(swapOut(prepared)).rejects.toMatchObject({ code: 'conflict' });
      expect(readFileSync(join(prepared.stage, 'new'), 'utf8')).toBe('old');
      renameSync(join(root, 'moved'), join(root, 'd'));
      for (let count = 0; count < 2; count++) await swapOut(prepared);
      expect(readFileSync(join(root, 'd/file'), 'utf8')).toBe('old');
    });

    test('refuse to go back over what another program has put there', async () => {
      const prepared = await preparedPart();
      await swapIn(prepared);
      renameSync(join(root, 'd/file'), join(root, 'd/moved'));
      writeFileSync(join(root, 'd/file'), 'other');
      await expect(swapOut(prepared)).rejects.toMatchObject({ code: 'conflict' });
      expect(readFileSync(join(root, 'd/file'), 'utf8')).toBe('other');
      expect(readFileSync(join(prepared.stage, 'new'), 'utf8')).toBe('old');
    });

    test('refuse to swap where its folder is gone', async () => {
      const prepared = await preparedPart();
      renameSync(join(root, 'd'), join(root, 'moved'));
      await expect(swapIn(prepared)).rejects.toMatchObject({ code: 'conflict' });
      expect(readFileSync(join(prepared.stage, 'new'), 'utf8')).toBe('new');
      await swapOut(prepared);
      expect(readFileSync(join(root, 'moved/file'), 'utf8')).toBe('old');
    });
  });

  test('a name that leads out of the volume is refused', async () => {
    const prepared = await prepareSwap(journalled('inside'));
    await expect(swapIn({ ...prepared, newNames: ['../out'] })).rejects.toMatchObject({ code: 'integrity' });
    expect(existsSync(join(folder, 'vol/out'))).toBe(false);
  });
});

test('a journal stays until nothing is left to do', async () => {
  const replacement = await open();
  expect(await listJournals(stateDir)).toMatchObject([{ step: 'staging', members: [{ root }] }]);
  fill(replacement.newPaths[0] ?? '');
  // Nothing is swapped that could be given up.
  await replacement.giveUp();
  expect(await listJournals(stateDir)).toMatchObject([{ step: 'staging' }]);
  await replacement.swap([]);
  expect(await listJournals(stateDir)).toMatchObject([{ step: 'swapping' }]);
  await replacement.giveUp();
  expect(await listJournals(stateDir)).toMatchObject([{ step: 'back' }]);
  await replacement[Symbol.asyncDispose]();
  expect(await listJournals(stateDir)).toEqual([]);
  expect(content()).toEqual(oldContent);
});

/** Swaps in a process of its own, in which the kernel cannot exchange two names, as on NFS and many FUSE file systems. */
const withoutExchange = `
  import fs from 'node:fs';
  import koffi from 'koffi';
  const [, module, stateDir, root, end] = process.argv;
  const load = koffi.load;
  const errno = koffi.errno;
  let isRefused = false;
  koffi.load = (name) => {
    const library = load(name);
    const func = (...declared) => {
      const call = library.func(...declared);
      if (!String(declared[0]).includes('renameat2')) return call;
      return (...args) => {
        isRefused = args[4] === 2;
        if (isRefused && end === 'fails') fs.rmSync(String(args[1]).slice(0, -1), { recursive: true });
        return isRefused ? -1 : call(...args);
      };
    };
    return { func };
  };
  koffi.errno = () => (isRefused ? koffi.os.errno.EINVAL : errno());
  const { openReplacement } = await import(module);
  const member = { kind: 'volume', name: 'vol', identity: 'vol', root };
  const about = { stateDir, action: 'restore', hostIdentity: undefined, snapshotIds: [], members: [member] };
  const seen = [];
  const see = () => seen.push(fs.readdirSync(root).map((name) => fs.readFileSync(root + '/' + name, 'utf8')).join());
  {
    await using replacement = await openReplacement(about);
    fs.mkdirSync(replacement.newPaths[0]);
    fs.writeFileSync(replacement.newPaths[0] + '/file', 'new');
    await replacement.swap([]).catch((error) => seen.push(error.code));
    see();
    if (end === 'commits') await replacement.commit(new Date());
  }
  see();
  console.log(JSON.stringify([isRefused, ...seen]));
`;

test.each([
  ['commits', [true, 'new', 'new']],
  ['goes back', [true, 'new', 'old,old']],
  ['fails', [true, 'ENOENT', 'old,old', 'old,old']],
])('a swap in two steps, where names cannot be exchanged, %s', (end, expected) => {
  const module = new URL('replacement.ts', import.meta.url).href;
  const args = ['--input-type=module', '-e', withoutExchange, module, stateDir, root, end];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual(expected);
  expect(leftovers()).toEqual([]);
});

test('isStagePath() knows our own folders at the top of a volume only', () => {
  expect(isStagePath('.holdfast-restore-0123456789abcdef')).toBe(true);
  expect(isStagePath('.holdfast-restore-0123456789abcdef/new/x')).toBe(true);
  expect(isStagePath('.holdfast-restore-x')).toBe(false);
  expect(isStagePath('a/.holdfast-restore-0123456789abcdef')).toBe(false);
});
