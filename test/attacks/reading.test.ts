import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { holdfastCommand, type HoldfastCommand } from '../support/holdfast-command.ts';
import { attackerUid, compile, prepareAttack } from './attacker.ts';

/**
 * What a container swaps in its volume during root's backup is neither opened nor a way out of the volume.
 */

const secret = 'the content of a file that only root may read';

let base: string;
let outside: string;
let tree: string;
let holdfast: HoldfastCommand;

beforeAll(async () => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'attacks-')));
  chmodSync(base, 0o711);
  holdfast = holdfastCommand(join(base, 'state'), { HOLDFAST_REPOSITORY: join(base, 'repository') });
  await holdfast.run('init');
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

beforeEach(() => {
  outside = join(base, 'outside');
  tree = join(base, 'volume');
  for (const folder of [outside, tree]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o700 });
  }
});

/** The files of the last snapshot, without those behind a symbolic link, which `readdirSync` follows. */
async function restoredFiles(): Promise<string[]> {
  const to = join(base, 'restored');
  await holdfast.run('restore', `${tree}@latest`, '--to', to, '--yes');
  return readdirSync(to, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => realpathSync(file) === file);
}

/** All of it is saved, or all but what was swapped meanwhile. */
async function backUp(): Promise<void> {
  const { exitCode, output } = await holdfast.attempt('backup', tree);
  expect([0, 3], output).toContain(exitCode);
}

test('a backup opens no device and no FIFO that takes the place of a file', async () => {
  const program = compile('swap-nodes', base);
  writeFileSync(join(outside, 'secret'), secret);
  for (let i = 0; i < 400; i++) writeFileSync(join(tree, `f${i}`), `content ${i}`);
  const attacker = await prepareAttack(program, [tree, join(outside, 'secret')], { uid: 0, cwd: base });
  attacker.begin();
  // Each round tries each file once.
  for (let round = 0; round < 2; round++) await backUp();
  const { swaps, opens } = await attacker.end();
  expect(swaps).toBeGreaterThan(1000);
  expect(opens).toBe(0);
});

test('a backup contains nothing from behind a swapped directory', async () => {
  const program = compile('swap-directories', base);
  const lures = join(base, 'lures');
  mkdirSync(lures);
  for (const path of [tree, lures]) chownSync(path, attackerUid, attackerUid);
  // Both have entries of the same names, so a name alone proves nothing.
  for (let i = 0; i < 5; i++) writeFileSync(join(outside, `file-${i}`), secret);
  symlinkSync(secret, join(outside, 'link'));
  for (let i = 0; i < 500; i++) {
    const folder = join(tree, `d${i}`);
    mkdirSync(folder);
    chownSync(folder, attackerUid, attackerUid);
    for (let file = 0; file < 5; file++) writeFileSync(join(folder, `file-${file}`), `content ${i}`);
    symlinkSync('own', join(folder, 'link'));
    symlinkSync(outside, join(lures, `d${i}.lure`));
  }
  const attacker = await prepareAttack(program, ['.', lures], { uid: attackerUid, cwd: tree });
  attacker.begin();
  for (let round = 0; round < 2; round++) await backUp();
  const { swaps } = await attacker.end();
  expect(swaps).toBeGreaterThan(1000);
  const files = await restoredFiles();
  expect(files.length).toBeGreaterThan(100);
  for (const file of files) expect(readFileSync(file, 'utf8')).not.toBe(secret);
  expect(await holdfast.run('ls', `${tree}@latest`, '--format', 'json')).not.toContain(secret);
});
