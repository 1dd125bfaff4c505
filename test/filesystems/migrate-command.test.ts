import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openApp } from '../../src/app.ts';
import { mountPoints } from '../setup/leftovers.ts';
import { command, type HoldfastCommand, holdfastCommand } from '../support/holdfast-command.ts';

let stateDir: string;
let holdfast: HoldfastCommand;
let root: string;
beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'migrate-command-'));
  holdfast = holdfastCommand(stateDir);
  root = await holdfast.createVolume('pg');
  writeFileSync(join(root, 'file'), 'content');
});
afterEach(() => {
  for (const path of mountPoints().toReversed())
    if (path.startsWith(stateDir)) execFileSync('umount', ['-l', path]);
  spawnSync('chattr', ['-R', '-f', '-i', stateDir]);
  rmSync(stateDir, { recursive: true, force: true });
});

const json = async (...args: string[]): Promise<unknown> =>
  JSON.parse(await holdfast.run(...args, '--format', 'json'));
const content = (): Promise<string> => holdfast.run('volume', 'cat', 'pg', 'file');

test('it shows its plan, and does nothing without an answer', async () => {
  const args = ['volume', 'migrate', 'pg', '--driver', 'local', '-o', 'size=32m'];
  expect(await json(...args, '--dry-run')).toMatchObject({
    name: 'pg',
    way: 'forth',
    from: { kind: 'local', options: {} },
    to: { driver: 'local', kind: 'local', options: { size: '32m' } },
    size: { files: 1, bytes: 7 },
    stops: [],
    refusal: null,
  });
  const { exitCode, output } = await holdfast.attempt(...args);
  expect(exitCode, output).toBe(2);
  expect(output).toContain('"pg" moves from local to local (size=32m).');
  expect(output).toContain('--yes');
  expect(readFileSync(join(root, 'file'), 'utf8')).toBe('content');
  expect(readdirSync(join(stateDir, 'trash'))).toEqual([]);
});

test('it moves the volume there and back, reports it, and writes it to the log', async () => {
  expect(await json('volume', 'migrate', 'pg', '--driver', 'gocryptfs', '--yes')).toMatchObject({
    name: 'pg',
    kind: 'gocryptfs',
    stopped: [],
    unhealthy: [],
    plan: { way: 'forth' },
  });
  expect(await content()).toBe('content');
  expect(existsSync(join(root, 'file'))).toBe(false);
  expect(await holdfast.run('volume', 'migrate', 'pg', '--undo', '--yes')).toContain(
    '"pg" is on local again.',
  );
  expect(readFileSync(join(root, 'file'), 'utf8')).toBe('content');
  const log = (await json('log')) as { entries?: unknown[] } | unknown[];
  const entries = Array.isArray(log) ? log : (log.entries ?? []);
  expect(entries).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ kind: 'volume-migrate', volume: 'pg', message: 'from local to gocryptfs' }),
      expect.objectContaining({
        kind: 'volume-migrate',
        volume: 'pg',
        message: 'from gocryptfs back to local',
      }),
    ]),
  );
});

test('it shows the progress of copying and of comparing', async () => {
  for (const name of ['second', 'third']) writeFileSync(join(root, name), 'content');
  await using app = openApp({
    ...{ stateDir, host: 'embedded', dataWay: 'auto', env: {} },
    ...{ repository: undefined, configFile: undefined, passwordReference: undefined },
  });
  await app.recoverAtStart('host');
  const told: Record<string, number> = {};
  const plan = await app.volumes.planMigration({ name: 'pg', driver: 'local', options: { size: '32m' } });
  const report = await app.volumes.applyMigration(plan, {
    onProgress: ({ phase, filesDone, filesTotal }) => {
      expect(filesTotal).toBe(3);
      told[phase] = Math.max(filesDone, told[phase] ?? 0);
    },
  });
  expect(Object.keys(told)).toEqual(['Copying', 'Comparing']);
  expect(told['Comparing']).toBe(3);
  expect(told['Copying']).toBe(report.files);
});

test('an impossible migration is refused with a reason', async () => {
  const refused = async (args: readonly string[], exit: number, words: string): Promise<void> => {
    const { exitCode, output } = await holdfast.attempt('volume', 'migrate', ...args, '--yes');
    expect(output).toContain(words);
    expect(exitCode, output).toBe(exit);
  };
  await refused(['pg'], 2, 'Where to move the volume is missing');
  await refused(['pg', '--driver', 'local'], 2, 'it is on "local" with these options already');
  await refused(['pg', '--driver', 'tmpfs'], 1, 'ends with its last use');
  await refused(['pg', '--driver', 'local', '-o', 'colour=red'], 2, 'colour');
  await refused(['pg', '--undo'], 4, 'what it was before is not kept');
  await refused(['pg', '--undo', '--driver', 'local'], 2, '"--undo" goes back');
  await refused(['gp', '--driver', 'gocryptfs'], 4, 'no such volume');
  writeFileSync(join(root, 'large'), Buffer.alloc(20 << 20, 'x'));
  await refused(['pg', '--driver', 'local', '-o', 'size=12m'], 1, 'do not fit into');
  expect(readdirSync(join(stateDir, 'trash'))).toEqual([]);
});

test('a program that has a file in it open for writing is named', async () => {
  const file = openSync(join(root, 'file'), 'a');
  const writer = spawn('sleep', ['10000'], { stdio: ['ignore', 'ignore', 'ignore', file] });
  closeSync(file);
  await once(writer, 'spawn');
  const { exitCode, output } = await holdfast.attempt(
    'volume',
    'migrate',
    'pg',
    '--driver',
    'gocryptfs',
    '--yes',
  );
  const ended = once(writer, 'exit');
  writer.kill();
  await ended;
  expect(output).toContain(`sleep (${writer.pid}) has files in it open for writing`);
  expect(exitCode).toBe(5);
  expect(readdirSync(join(stateDir, 'trash'))).toEqual([]);
});

test('data kept for an undo does not stay behind: it is restored or discarded before', async () => {
  await holdfast.run('init');
  await holdfast.run('backup', 'pg');
  writeFileSync(join(root, 'file'), 'since');
  await holdfast.run('restore', 'pg', '--yes');
  const way = ['volume', 'migrate', 'pg', '--driver', 'local', '-o', 'size=32m'];
  expect(await json(...way, '--dry-run')).toMatchObject({ refusal: { code: 'conflict' } });
  const { exitCode, output } = await holdfast.attempt(...way, '--yes');
  expect(exitCode).not.toBe(0);
  expect(output).toContain('what its last restore replaced is kept for an undo');
  await holdfast.run('undo', 'pg', '--yes');
  expect(await content()).toBe('since');
  expect((await holdfast.attempt(...way, '--yes')).exitCode).not.toBe(0);
  await holdfast.run('undo', 'pg', '--drop', '--yes');
  await holdfast.run(...way, '--yes');
  expect(await content()).toBe('since');
});

test('Ctrl-C leaves the volume unchanged, and nothing else', async () => {
  writeFileSync(join(root, 'large'), Buffer.alloc(200 << 20, 'x'));
  const child = spawn(
    command,
    [
      'volume',
      'migrate',
      'pg',
      '--driver',
      'gocryptfs',
      '--yes',
      '--state-dir',
      stateDir,
      '--host',
      'embedded',
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const ended = once(child, 'exit');
  await expect.poll(() => mountPoints().some((path) => path.startsWith(`${stateDir}/trash`))).toBe(true);
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(mountPoints().filter((path) => path.startsWith(stateDir))).toEqual([]);
  expect(readdirSync(join(stateDir, 'trash'))).toEqual([]);
  expect(await content()).toBe('content');
});
