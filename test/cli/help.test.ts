import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { version } from '../../src/lib/version.ts';
import { applicationFor } from '../../src/surfaces/cli/application.ts';
import { Cli } from './cli.ts';

let cli: Cli;
beforeAll(() => {
  cli = new Cli();
});
afterAll(() => cli[Symbol.dispose]());

/** All visible commands and groups, as the command itself defines them; '' is the command alone. */
const { root } = applicationFor([]);
const commands = commandsBelow(root, []);

type Target = typeof root;

function commandsBelow(target: Target, words: readonly string[]): string[] {
  const below = 'getAllEntries' in target ? target.getAllEntries().filter(({ hidden }) => !hidden) : [];
  return [
    words.join(' '),
    ...below.flatMap(({ name, target: next }) =>
      commandsBelow(next, [...words, name['convert-camel-to-kebab']]),
    ),
  ];
}

describe('help', () => {
  test.each(commands)('of "holdfast %s" is as it was', async (command) => {
    const words = command.split(' ').filter(Boolean);
    const help = await cli.run(...words, '--help');
    await expect(help).toMatchFileSnapshot(
      join(import.meta.dirname, 'help', `${words.join('-') || 'holdfast'}.txt`),
    );
    // A list of subcommand names, and an example, are not broken.
    const tooLong = help
      .split('\n')
      .filter((line) => line.length > 80 && !/^  holdfast |^(bash|zsh|fish): /.test(line));
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
