import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
beforeAll(async () => {
  cli = new Cli();
  await cli.init();
});
afterAll(() => cli[Symbol.dispose]());

test('recover reports when there is nothing to restore', async () => {
  expect(await cli.run('recover')).toBe('There is nothing to bring back.\n');
  expect(await cli.json('recover')).toEqual({ jobs: [], hooks: [], volumes: [], elsewhere: 0 });
});

test('recover keeps records of another engine, and says how to reach it', async () => {
  const folder = join(cli.stateDir, 'journal-apps');
  mkdirSync(folder, { recursive: true });
  const journal = {
    version: 1,
    hostIdentity: 'gone',
    reason: 'back up "pg"',
    how: 'stop',
    since: '',
    levels: [],
  };
  writeFileSync(join(folder, `${'a'.repeat(32)}.json`), JSON.stringify(journal));
  const { exit, stdout, stderr } = await cli.attempt(['recover', '--format', 'json']);
  expect(exit).toBe(1);
  expect(JSON.parse(stdout)).toEqual({ jobs: [], hooks: [], volumes: [], elsewhere: 1 });
  expect(stderr).toContain('DOCKER_HOST');
  expect(readdirSync(folder)).toContain(`${'a'.repeat(32)}.json`);
});

test('nothing is done while the journals cannot be read', async () => {
  const folder = join(cli.stateDir, 'journal');
  rmSync(folder, { recursive: true, force: true });
  writeFileSync(folder, '');
  const { exit, stderr } = await cli.attempt(['volume', 'ls']);
  rmSync(folder);
  expect(exit).toBe(1);
  expect(stderr).toContain(`Cannot read "${folder}"`);
});

test('a consistency that does not exist is a usage error that names those that do', async () => {
  const { exit, stderr } = await cli.attempt(['backup', '.', '--consistency', 'frozen']);
  expect(exit).toBe(2);
  expect(stderr).toContain('auto, freeze, two-pass, pause, stop, live');
});
