import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { version } from '../../src/lib/version.ts';
import { Cli } from './cli.ts';

let cli: Cli;
beforeAll(() => {
  cli = new Cli();
});
afterAll(() => cli[Symbol.dispose]());

const commands = [
  '',
  ...[
    'setup',
    'init',
    'backup',
    'snapshots',
    'ls',
    'diff',
    'dump',
    'restore',
    'undo',
    'check',
    'verify',
    'drill',
    'recover',
    'completion',
  ],
  ...['forget', 'prune', 'tag', 'stats', 'find'],
  'key',
  ...['list', 'add', 'change', 'remove'].map((name) => `key ${name}`),
  'unlock',
  'repair',
  ...['index', 'packs', 'snapshots'].map((name) => `repair ${name}`),
  'copy',
  'repo',
  ...['add', 'ls', 'rm', 'default', 'check'].map((name) => `repo ${name}`),
  'policy',
  ...['ls', 'show', 'run', 'next', 'accept'].map((name) => `policy ${name}`),
  'coverage',
  'daemon',
  ...['plugin', 'api', 'run'],
  'config',
  ...['show', 'check'].map((name) => `config ${name}`),
  'log',
  'notify',
  'notify test',
  'import-archives',
  'volume',
  ...['create', 'ls', 'inspect', 'rm', 'prune', 'clone', 'cp', 'du', 'browse', 'cat', 'export', 'import'].map(
    (name) => `volume ${name}`,
  ),
];

describe('help', () => {
  test.each(commands)('of "holdfast %s" is as it was', async (command) => {
    const words = command.split(' ').filter(Boolean);
    const help = await cli.run(...words, '--help');
    await expect(help).toMatchFileSnapshot(
      join(import.meta.dirname, 'help', `${words.join('-') || 'holdfast'}.txt`),
    );
    // Eighty columns and a bit: what is longer is broken in ugly places.
    // The names of subcommands are one word, which nothing can break.
    const tooLong = help.split('\n').filter((line) => line.length > 125 && !line.includes('|'));
    expect(tooLong).toEqual([]);
  });

  test('comes with "help" in front, and for a group without a command', async () => {
    expect(await cli.run('help', 'volume', 'ls')).toBe(await cli.run('volume', 'ls', '--help'));
    expect(await cli.run('volume')).toBe(await cli.run('volume', '--help'));
    expect(await cli.run('help')).toBe(await cli.run());
  });
});

test('the version is that of the package', async () => {
  expect(await cli.run('--version')).toBe(`${version}\n`);
});

test('the command starts without touching anything', async () => {
  await cli.run('--help');
  const { existsSync } = await import('node:fs');
  expect(existsSync(cli.stateDir)).toBe(false);
});
