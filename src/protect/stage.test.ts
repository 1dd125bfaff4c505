import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RestoreJournal, writeJournal } from './restore-journal.ts';
import { isStagePath, openStage, settleRestore } from './stage.ts';
import { swapInside } from './swap.ts';

let folder: string;
let stateDir: string;
let root: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-stage-'));
  stateDir = join(folder, 'state');
  root = join(folder, 'vol/_data');
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, 'both'), 'old');
  writeFileSync(join(root, 'only-old'), 'old');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the new tree. */
function fill(at: string): void {
  mkdirSync(at, { recursive: true, mode: 0o750 });
  writeFileSync(join(at, 'both'), 'new');
  writeFileSync(join(at, 'only-new'), 'new');
}

function content(): Record<string, string> {
  return Object.fromEntries(readdirSync(root).map((name) => [name, readFileSync(join(root, name), 'utf8')]));
}

const oldContent = { both: 'old', 'only-old': 'old' };
const newContent = { both: 'new', 'only-new': 'new' };

function leftovers(): string[] {
  const journal = join(stateDir, 'journal');
  return [
    ...readdirSync(dirname(root)),
    ...readdirSync(root),
    ...(existsSync(journal) ? readdirSync(journal) : []),
  ].filter((name) => name.includes('restore'));
}

describe('openStage()', () => {
  test('swaps the new tree in as a whole, with its own metadata, and leaves nothing behind', async () => {
    {
      await using stage = await openStage(stateDir, root);
      fill(stage.newPath);
      expect(content()).toEqual(oldContent);
      await stage.swap();
    }
    expect(content()).toEqual(newContent);
    expect(lstatSync(root).mode & 0o777).toBe(0o750);
    expect(leftovers()).toEqual([]);
  });

  test('changes nothing when it is given up before the swap', async () => {
    const stage = await openStage(stateDir, root);
    fill(stage.newPath);
    await stage[Symbol.asyncDispose]();
    expect(content()).toEqual(oldContent);
    expect(leftovers()).toEqual([]);
  });

  test('makes a directory that was not there', async () => {
    root = join(folder, 'vol/fresh');
    {
      await using stage = await openStage(stateDir, root);
      fill(stage.newPath);
      await stage.swap();
    }
    expect(content()).toEqual(newContent);
  });

  test('refuses to replace a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(openStage(stateDir, join(folder, 'file'))).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('settleRestore(), after a kill,', () => {
  const journal = (place: 'beside' | 'inside', stage: string): RestoreJournal => ({
    root,
    stage,
    place,
    step: 'staging',
    oldNames: [],
    newNames: [],
  });

  test('removes what was being made ready', async () => {
    const stage = await openStage(stateDir, root);
    fill(stage.newPath);
    expect(await settleRestore(stateDir, root)).toEqual({ outcome: 'cleaned' });
    expect(content()).toEqual(oldContent);
    expect(leftovers()).toEqual([]);
  });

  test('brings the old data back when the root was moved away and nothing put in its place', async () => {
    const stage = join(folder, 'vol/.holdfast-restore-0123456789abcdef');
    fill(join(stage, 'new'));
    await writeJournal(stateDir, journal('beside', stage));
    const { renameSync } = await import('node:fs');
    renameSync(root, join(stage, 'old'));
    expect(await settleRestore(stateDir, root)).toEqual({ outcome: 'undone' });
    expect(content()).toEqual(oldContent);
    expect(leftovers()).toEqual([]);
  });

  test.each([0, 1, 2, 3, 4])('finishes a swap name by name that stopped after %i steps', async (steps) => {
    const { renameSync } = await import('node:fs');
    const stage = join(root, '.holdfast-restore-0123456789abcdef');
    fill(join(stage, 'new'));
    mkdirSync(join(stage, 'old'));
    const names = { oldNames: ['both', 'only-old'], newNames: ['both', 'only-new'] };
    await writeJournal(stateDir, { ...journal('inside', stage), step: 'swapping', ...names });
    const moves = [
      ...names.oldNames.map((name) => [join(root, name), join(stage, 'old', name)]),
      ...names.newNames.map((name) => [join(stage, 'new', name), join(root, name)]),
    ];
    for (const [from = '', to = ''] of moves.slice(0, steps)) renameSync(from, to);
    expect(await settleRestore(stateDir, root)).toEqual({ outcome: 'finished' });
    expect(content()).toEqual(newContent);
    expect(lstatSync(root).mode & 0o777).toBe(0o750);
    expect(leftovers()).toEqual([]);
  });

  test.each([0, 1, 2, 3])(
    'keeps the new data when a swap name by name was done and %i things were deleted since',
    async (deleted) => {
      const stage = join(root, '.holdfast-restore-0123456789abcdef');
      fill(join(stage, 'new'));
      const swap = { ...journal('inside', stage), step: 'swapping' as const };
      const names = { oldNames: ['both', 'only-old'], newNames: ['both', 'only-new'] };
      await swapInside({ stateDir, journal: swap, ...names });
      const [old = ''] = readdirSync(stage).filter((name) => name !== 'new');
      const deletions = [join(old, 'both'), join(old, 'only-old'), old];
      for (const path of deletions.slice(0, deleted)) rmSync(join(stage, path), { recursive: true });
      await settleRestore(stateDir, root);
      expect(content()).toEqual(newContent);
      expect(leftovers()).toEqual([]);
    },
  );

  test('does nothing, and trusts nothing in the volume, when no restore was begun', async () => {
    const planted = join(root, '.holdfast-restore-0123456789abcdef');
    mkdirSync(planted);
    symlinkSync('/etc', join(planted, 'new'));
    expect(await settleRestore(stateDir, root)).toEqual({ outcome: undefined });
    expect(existsSync(planted)).toBe(true);
    rmSync(planted, { recursive: true });
  });
});

describe('swapInside()', () => {
  test('takes everything back when one step fails', async () => {
    const stage = join(root, '.holdfast-restore-0123456789abcdef');
    fill(join(stage, 'new'));
    const journal: RestoreJournal = {
      root,
      stage,
      place: 'inside',
      step: 'staging',
      oldNames: [],
      newNames: [],
    };
    await writeJournal(stateDir, journal);
    // A name that leads out is refused in the middle of the work.
    const swap = swapInside({
      stateDir,
      journal,
      oldNames: ['both', 'only-old'],
      newNames: ['both', '../out'],
    });
    await expect(swap).rejects.toMatchObject({ code: 'failed' });
    rmSync(stage, { recursive: true });
    expect(content()).toEqual(oldContent);
    expect(existsSync(join(folder, 'vol/out'))).toBe(false);
  });
});

test('isStagePath() knows our own folders at the top of a volume only', () => {
  expect(isStagePath('.holdfast-restore-0123456789abcdef')).toBe(true);
  expect(isStagePath('.holdfast-restore-0123456789abcdef/new/x')).toBe(true);
  expect(isStagePath('.holdfast-restore-x')).toBe(false);
  expect(isStagePath('a/.holdfast-restore-0123456789abcdef')).toBe(false);
});
