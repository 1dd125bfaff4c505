import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
let root: string;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  root = await cli.volume('pg');
  mkdirSync(join(root, 'base'));
  for (let i = 0; i < 10; i++) writeFileSync(join(root, 'base', `f${i}`), `content ${i}\n`.repeat(300));
  writeFileSync(join(root, 'large'), randomBytes(2_000_000));
  await cli.run('backup', 'pg');
  return () => cli[Symbol.dispose]();
});

interface CopyJson {
  readonly copied: readonly { readonly id: string; readonly newId: string | null }[];
  readonly present: readonly unknown[];
  readonly failed: readonly unknown[];
}

const second = (): string => join(cli.folder, 'second');

function packs(): string[] {
  return readdirSync(join(cli.repository, 'data'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(cli.repository, 'data', name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

test('a second place is created like the first, and its copies restore without the first', async () => {
  await cli.run('init', '--repo', second(), '--chunker-from', 'default');
  // The default repository stays the same.
  expect((await cli.ids('pg')).length).toBe(1);
  const copied = await cli.json<CopyJson>('copy', '--to-repo', 'second', 'pg');
  expect(copied).toMatchObject({ copied: [{ id: (await cli.ids('pg'))[0] }], failed: [] });
  expect(await cli.run('copy', '--to-repo', second())).toBe('1 snapshot is there already.\n');
  rmSync(cli.repository, { recursive: true });
  await cli.run('--repo', 'second', 'restore', 'pg', '--to', join(cli.folder, 'out'));
  expect(readFileSync(join(cli.folder, 'out/large')).equals(readFileSync(join(root, 'large')))).toBe(true);
});

test('a snapshot that cannot be copied is no success in the log', async () => {
  await cli.run('init', '--repo', second(), '--chunker-from', 'default');
  flip(packs()[0] ?? '', 1000);
  expect((await cli.attempt(['copy', '--to-repo', 'second', 'pg'])).exit).not.toBe(0);
  const entries = await cli.json<readonly { readonly outcome: string }[]>('log', '--kind', 'copy');
  expect(entries.map(({ outcome }) => outcome)).toEqual(['failed']);
});

test('a repository that is added can be made like another one: a file that both save is stored once', async () => {
  // A file of 2 MB may be a single chunk, which is the same in every repository.
  writeFileSync(join(root, 'larger'), randomBytes(12_000_000));
  await cli.run('backup', 'pg');
  await cli.run('repo', 'add', 'like', second(), '--chunker-from', 'default');
  await cli.run('repo', 'add', 'other', join(cli.folder, 'other'));
  const added: number[] = [];
  for (const name of ['like', 'other']) {
    await cli.run('--repo', name, 'backup', 'pg');
    added.push((await cli.json<{ bytes: number }>('copy', '--to-repo', name, 'pg')).bytes);
  }
  expect(added[0]).toBeLessThan(20_000);
  expect(added[1]).toBeGreaterThan(500_000);
  expect(await cli.attempt(['repo', 'add', 'x', './x', '--from-password-file', 'a'])).toMatchObject({
    exit: 2,
  });
});

test('a repository that is not known is copied to with its own password', async () => {
  const key = join(cli.folder, 'key');
  writeFileSync(key, 'another password');
  const other = { HOLDFAST_STATE_DIR: join(cli.folder, 'elsewhere') };
  await cli.attempt(['init', '--repo', second(), '--password-file', key], { env: other });
  const dry = await cli.json<CopyJson>('copy', '-n', '--to-repo', second(), '--to-password-file', key);
  expect(dry.copied).toMatchObject([{ newId: null }]);
  await cli.run('copy', '--to-repo', second(), '--to-password-file', key, 'pg@latest');
  expect((await cli.attempt(['snapshots', '-q'], { env: other })).stdout).toMatch(/^[0-9a-f]{64}\n$/);
});

test.each([
  [['copy'], 2, 'Where to copy is missing'],
  [['copy', '--to-repo', 'default'], 2, 'to itself'],
  [['copy', '--to-repo', './nowhere'], 4, 'There is no repository in'],
  [['copy', '--to-repo', './nowhere', '--to-password-file', 'key'], 4, 'There is no repository'],
  [['copy', '--to-repo', 'x', '--to-password-file', 'a', '--to-password-command', 'b'], 2, 'not both'],
  [['init', '--repo', './second', '--from-password-file', 'a'], 2, 'not named'],
  [['repair', 'packs'], 2, 'Name the packs'],
  [['repair', 'packs', 'ab', '--all-damaged'], 2, 'Name the packs'],
  [['repair', 'packs', 'zz'], 4, 'There is no pack "zz"'],
  [['repair', 'snapshots', 'nobody'], 4, 'There is no snapshot of "nobody"'],
])('"holdfast %s" is refused', async (args, exit, message) => {
  writeFileSync(join(cli.folder, 'key'), 'a password');
  const refused = await cli.attempt(args);
  expect(refused.stderr).toContain(message);
  expect(refused).toMatchObject({ exit, stdout: '' });
});

test('nothing is wrong with a whole repository, and the commands say so', async () => {
  expect(await cli.run('repair', 'index', '--read-all-packs')).toMatch(
    /^The index is right: it names \d+ packs\.\n$/,
  );
  expect(await cli.run('repair', 'packs', '--all-damaged')).toBe('All packs are whole.\n');
  expect(await cli.run('repair', 'snapshots')).toBe('The snapshot is whole.\n');
});

test('a damaged repository is repaired step by step, and each step names the next', async () => {
  const [largest = ''] = packs();
  flip(largest, 1000);
  for (const name of readdirSync(join(cli.repository, 'index')))
    flip(join(cli.repository, 'index', name), 50);
  const first = await cli.attempt(['repair', 'snapshots']);
  expect(first).toMatchObject({ exit: 6, stderr: expect.stringContaining('holdfast repair index') });
  expect(await cli.run('repair', 'index')).toContain('damaged index file');

  const unasked = await cli.attempt(['repair', 'packs', '--all-damaged']);
  expect(unasked).toMatchObject({ exit: 2, stderr: expect.stringContaining('can be saved') });
  const packed = await cli.attempt(['repair', 'packs', '--all-damaged', '--yes']);
  expect(packed).toMatchObject({ exit: 3, stderr: expect.stringContaining('holdfast repair snapshots') });
  expect(packed.stdout).toContain(largest.slice(-64).slice(0, 8));

  const dry = await cli.attempt(['repair', 'snapshots', '--dry-run']);
  expect(dry).toMatchObject({ exit: 3, stdout: expect.stringContaining('volume/pg/') });
  expect(await cli.ids('pg')).toHaveLength(1);
  const done = await cli.attempt(['repair', 'snapshots', '--forget', '--yes']);
  expect(done).toMatchObject({
    exit: 3,
    stdout: expect.stringContaining('The damaged snapshot was removed.'),
  });
  await cli.run('check', '--read-data');
  expect(await cli.json('snapshots')).toMatchObject([{ tags: ['repaired'], problemCount: 1 }]);
  await cli.run('backup', 'pg');
  await cli.run('restore', 'pg', '--to', join(cli.folder, 'out'));
  expect(readFileSync(join(cli.folder, 'out/large')).equals(readFileSync(join(root, 'large')))).toBe(true);
});
