import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { removeTree } from '../../src/lib/remove-tree.ts';
import { holdfastCommand, type HoldfastCommand } from '../support/holdfast-command.ts';
import { attackerUid, type Attacker, compile, prepareAttack } from './attacker.ts';

/** A user swaps directories for links into a folder of root's while root deletes the user's old data. */

const folders = 1500;
const victims = 40;

let base: string;
let program: string;
let victim: string;
let lures: string;
let home: string;
let holdfast: HoldfastCommand;

beforeAll(async () => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'attacks-')));
  chmodSync(base, 0o711);
  program = compile('swap-directories', base);
  holdfast = holdfastCommand(join(base, 'state'), { HOLDFAST_REPOSITORY: join(base, 'repository') });
  await holdfast.run('init');
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

beforeEach(() => {
  victim = join(base, 'victim');
  rmSync(victim, { recursive: true, force: true });
  // With the names in a stage, among others.
  for (const name of ['new', 'dropped']) mkdirSync(join(victim, name), { recursive: true, mode: 0o700 });
  for (let i = 0; i < victims; i++) writeFileSync(join(victim, i % 2 === 0 ? 'new' : '.', `file-${i}`), '');
  lures = join(base, 'lures');
  rmSync(lures, { recursive: true, force: true });
  own(lures);
  home = join(base, 'home');
  rmSync(home, { recursive: true, force: true });
  own(home);
});

function own(path: string): void {
  mkdirSync(path);
  chownSync(path, attackerUid, attackerUid);
}

/** Directories of the attacker's, and a link for each of their names. */
function fill(tree: string): void {
  chownSync(tree, attackerUid, attackerUid);
  for (let i = 0; i < folders; i++) {
    own(join(tree, `d${i}`));
    writeFileSync(join(tree, `d${i}`, 'file'), '');
    symlinkSync(victim, join(lures, `d${i}.lure`));
  }
}

function leftOfVictim(): number {
  return readdirSync(victim, { recursive: true }).length - 2;
}

/** Returns how often anything was swapped meanwhile. */
async function underAttack(attacker: Attacker, work: () => Promise<unknown>): Promise<number> {
  attacker.begin();
  try {
    await work();
  } finally {
    await attacker.end();
  }
  return (await attacker.end())['swaps'] ?? 0;
}

const removals = [
  { what: 'volume rm --permanent', commands: [['volume', 'rm', '--permanent', 'owned', '--yes']] },
  {
    what: 'volume prune and trash empty',
    commands: [
      ['volume', 'prune', '--all', '--yes'],
      ['trash', 'empty', '--yes'],
    ],
  },
];

test.each(removals)('$what delete nothing where a swapped directory leads', async ({ commands }) => {
  const tree = await holdfast.createVolume('owned');
  fill(tree);
  const attacker = await prepareAttack(program, ['.', lures], { uid: attackerUid, cwd: tree });
  const swaps = await underAttack(attacker, async () => {
    for (const command of commands) await holdfast.attempt(...command);
  });
  expect(swaps).toBeGreaterThan(200);
  expect(leftOfVictim()).toBe(victims);
});

test('undo --drop deletes nothing behind a directory that was swapped in the kept data', async () => {
  const data = join(home, 'data');
  own(data);
  await holdfast.run('backup', data);
  fill(data);
  const attacker = await prepareAttack(program, ['.', lures], { uid: attackerUid, cwd: data });
  await holdfast.run('restore', data, '--yes', '--no-safety-snapshot');
  const swaps = await underAttack(attacker, async () => {
    await holdfast.attempt('undo', data, '--drop', '--yes');
  });
  expect(swaps).toBeGreaterThan(200);
  expect(leftOfVictim()).toBe(victims);
});

test('undo --drop deletes nothing behind a swapped stage', async () => {
  const data = join(home, 'data');
  own(data);
  await holdfast.run('backup', data);
  for (let round = 0; round < 4; round++) {
    writeFileSync(join(data, `round-${round}`), '');
    await holdfast.run('restore', data, '--yes', '--no-safety-snapshot');
    const stage = readdirSync(home).find((name) => name.startsWith('.holdfast-restore-')) ?? '';
    expect(stage).not.toBe('');
    // Only within its folder: another user's directory cannot be moved out of it.
    symlinkSync(victim, join(home, `${stage}.lure`));
    const attacker = await prepareAttack(program, ['.', '.'], { uid: attackerUid, cwd: home });
    const swaps = await underAttack(attacker, async () => {
      await holdfast.attempt('undo', data, '--drop', '--yes');
    });
    expect(swaps).toBeGreaterThan(200);
    expect(leftOfVictim()).toBe(victims);
    rmSync(join(home, `${stage}.lure`), { recursive: true, force: true });
  }
});

test('a bind mount inside a directory, from the same disk, is neither emptied nor skipped silently', async () => {
  const tree = join(home, 'tree');
  for (const folder of [tree, join(tree, 'bound')]) mkdirSync(folder);
  execFileSync('mount', ['--bind', victim, join(tree, 'bound')]);
  try {
    await expect(removeTree(tree)).rejects.toMatchObject({ code: 'in-use' });
    expect(leftOfVictim()).toBe(victims);
  } finally {
    execFileSync('umount', [join(tree, 'bound')]);
  }
});
