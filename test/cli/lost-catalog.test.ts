import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(() => cli[Symbol.dispose]());

interface Listed {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** As after a power cut on a disk that loses confirmed writes. */
function lose(how: 'empty' | 'gone', ...more: readonly string[]): void {
  for (const name of ['catalog.db', 'catalog.db-wal', 'catalog.db-shm', ...more])
    rmSync(join(cli.stateDir, name), { force: true });
  if (how === 'empty') writeFileSync(join(cli.stateDir, 'catalog.db'), '');
}

test.each(['empty', 'gone'] as const)(
  'a catalog that is %s was lost: it says so, and is made anew from its copy',
  async (how) => {
    await cli.init();
    await cli.run('volume', 'create', 'pg', '--label', 'tier=gold');
    await cli.run('volume', 'protect', 'pg');
    writeFileSync(join(cli.root('pg'), 'data'), 'content');
    const kept = cli.mkdir('kept');
    writeFileSync(join(kept, 'file'), 'content');
    await cli.run('backup', 'pg', kept);
    expect(statSync(join(cli.stateDir, 'catalog.json')).mode & 0o777).toBe(0o600);
    lose(how);
    const first = await cli.attempt(['snapshots', 'pg', '-q']);
    expect(first).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/) });
    expect(first.stderr).toMatch(
      /The catalog ".*catalog.db" was lost, and is made anew from ".*catalog.json"/,
    );
    expect(first.stderr).toContain("1 repository, 1 volume of Holdfast's own");
    const [volume] = await cli.json<Listed[]>('volume', 'ls');
    expect(volume).toMatchObject({ name: 'pg', labels: { tier: 'gold' } });
    expect((await cli.attempt(['volume', 'rm', 'pg'])).exit).not.toBe(0);
    // Both continue in their lineages: new snapshots are compared with the earlier ones.
    expect(await cli.run('backup', 'pg', kept)).toMatch(
      /0 new, 0 changed, 1 unchanged[^]*0 new, 0 changed, 1 unchanged/,
    );
    expect(await cli.ids('pg')).toHaveLength(2);
    expect(await cli.ids(kept)).toHaveLength(2);
    expect((await cli.attempt(['snapshots'])).stderr).toBe('');
  },
);

test('without a copy, the catalog is rebuilt from the state folder, and the rest is named', async () => {
  await cli.init();
  writeFileSync(join(await cli.volume('pg'), 'data'), 'content');
  await cli.volume('empty');
  await cli.run('backup', 'pg');
  lose('empty', 'catalog.json');
  const listed = await cli.attempt(['volume', 'ls', '-q']);
  expect(listed).toMatchObject({ exit: 0, stdout: 'pg\n' });
  expect(listed.stderr).toMatch(
    /was lost, and is made anew from what lies in the state folder: 0 repositories/,
  );
  expect(listed.stderr).toContain('What driver these were on is not known: "empty"');
  for (let tries = 0; tries < 2; tries++) {
    const { exit, stderr } = await cli.attempt(['snapshots']);
    expect(exit).toBe(4);
    expect(stderr).toContain('the catalog was lost');
    const key = join(cli.stateDir, 'keys', 'default.key');
    expect(stderr).toContain(`holdfast init --repo LOCATION --password-file ${key}`);
  }
  await cli.run('init', '--repo', cli.repository, '--password-file', join(cli.stateDir, 'keys/default.key'));
  expect(await cli.ids('pg')).toHaveLength(1);
  expect(readFileSync(join(cli.root('pg'), 'data'), 'utf8')).toBe('content');
});

test('a copy written by another program counts as missing', async () => {
  await cli.run('init');
  const kept = cli.mkdir('kept');
  writeFileSync(join(kept, 'file'), 'content');
  await cli.run('backup', kept);
  const copy = JSON.parse(readFileSync(join(cli.stateDir, 'catalog.json'), 'utf8')) as object;
  for (const damage of [
    '{"stateId":',
    { ...copy, repositories: [{ name: 7 }] },
    { ...copy, volumes: [null] },
  ]) {
    lose('empty');
    writeFileSync(
      join(cli.stateDir, 'catalog.json'),
      typeof damage === 'string' ? damage : JSON.stringify(damage),
    );
    const { exit, stdout, stderr } = await cli.attempt(['snapshots', kept, '-q']);
    expect({ exit, stderr }).toEqual({
      exit: 0,
      stderr: expect.stringContaining('what lies in the state folder'),
    });
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
  }
});

test('the key of volumes is no sign of a repository that was lost', async () => {
  const keys = join(cli.stateDir, 'keys');
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  writeFileSync(join(keys, 'volumes.key'), 'secret');
  const { exit, stderr } = await cli.attempt(['snapshots']);
  expect(exit).toBe(4);
  expect(stderr).toContain('There is no repository yet');
  expect(stderr).not.toMatch(/lost|volumes.key/);
});

test('a repository at its usual place is found again with its key', async () => {
  await cli.run('init');
  const kept = cli.mkdir('kept');
  writeFileSync(join(kept, 'file'), 'content');
  await cli.run('backup', kept);
  lose('gone', 'catalog.json');
  expect(await cli.ids(kept)).toHaveLength(1);
});

test('a new state folder has nothing to recover, and a copy of a catalog that is in use is not taken', async () => {
  await cli.init();
  await cli.run('volume', 'create', 'pg');
  const copy = readFileSync(join(cli.stateDir, 'catalog.json'), 'utf8');
  writeFileSync(join(cli.stateDir, 'catalog.json'), copy.replace(/"stateId":"[^"]*"/, '"stateId":"another"'));
  const { stderr, stdout } = await cli.attempt(['volume', 'ls', '-q']);
  expect({ stderr, stdout }).toEqual({ stderr: '', stdout: 'pg\n' });
  await cli.run('volume', 'create', 'other');
  expect(readFileSync(join(cli.stateDir, 'catalog.json'), 'utf8')).not.toContain('another');
  expect(readdirSync(cli.stateDir).filter((name) => name.startsWith('tmp-'))).toEqual([]);
  expect(existsSync(cli.repository)).toBe(true);
});
