import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cli } from './cli.ts';
import { command } from '../support/holdfast-command.ts';

let cli: Cli;
beforeAll(async () => {
  cli = new Cli();
  await cli.init();
  writeFileSync(join(await cli.volume('web-data'), 'f'), 'x');
  await cli.volume('web-logs');
  await cli.run('backup', 'web-data');
});
afterAll(() => cli[Symbol.dispose]());

async function complete(...words: string[]): Promise<string[]> {
  return (await cli.run('__complete', '--', ...words)).trim().split('\n').filter(Boolean);
}

describe('holdfast __complete', () => {
  test('completes commands, flags, volumes and snapshots', async () => {
    expect(await complete('vol')).toEqual(['volume']);
    expect(await complete('volume', 'in')).toEqual(['inspect']);
    expect(await complete('backup', '--ex')).toEqual(['--exclude']);
    expect(await complete('volume', 'rm', 'web-')).toEqual(['web-data', 'web-logs']);
    expect(await complete('backup', 'web-d')).toEqual(['web-data']);
    const [id = ''] = await cli.ids('web-data');
    expect(await complete('ls', id.slice(0, 3))).toEqual([id.slice(0, 8)]);
    expect(await complete('restore', 'web-data@')).toEqual([`web-data@${id.slice(0, 8)}`]);
  });

  test('hides itself, and is silent where there is nothing', async () => {
    expect(await complete('')).not.toContain('__complete');
    expect(await complete('nonsense', 'x')).toEqual([]);
    expect(await complete('volume', 'rm', 'zzz')).toEqual([]);
  });
});

describe('the script for bash', () => {
  test('completes in a real bash', async () => {
    const script = join(cli.folder, 'completion.bash');
    writeFileSync(script, await cli.run('completion', 'bash'));
    // Does what bash does when the user presses the tab key, and prints the candidates.
    const driver = `source "$1"
      COMP_LINE="$2 $3"; COMP_POINT=\${#COMP_LINE}
      _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const offered = (line: string): string[] =>
      execFileSync('bash', ['-c', driver, 'bash', script, command, line], {
        encoding: 'utf8',
        env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded' },
      })
        .trim()
        .split('\n')
        .filter(Boolean);
    expect(offered('volume ins')).toEqual(['inspect']);
    expect(offered('volume rm web-')).toEqual(['web-data', 'web-logs']);
    expect(offered('volume ')).toContain('create');
  });

  test('each shell has one, and they parse', async () => {
    for (const shell of ['bash', 'zsh', 'fish'])
      expect(await cli.run('completion', shell)).toContain('__complete');
    writeFileSync(join(cli.folder, 'c.bash'), await cli.run('completion', 'bash'));
    execFileSync('bash', ['-n', join(cli.folder, 'c.bash')]);
  });
});
