import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cli, type CliResult } from './cli.ts';

let cli: Cli;
let folder: string;
beforeAll(() => {
  cli = new Cli();
  folder = join(cli.stateDir, '..', 'stacks');
  mkdirSync(join(folder, 'shop/empty'), { recursive: true });
  mkdirSync(join(folder, 'other'));
  writeFileSync(join(folder, 'shop/compose.yaml'), 'services: { web: { image: web, volumes: [a:/a] } }\n');
  writeFileSync(join(folder, 'shop/more.yaml'), 'volumes: { a: {} }\n');
  writeFileSync(join(folder, 'other/compose.yaml'), 'services: { app: { image: app } }\n');
});
afterAll(() => cli[Symbol.dispose]());

function compose(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return cli.attempt(['compose', ...args, '--format', 'json'], {
    cwd: folder,
    env: { HOLDFAST_HOST: 'embedded', ...env },
  });
}

const filesOf = ({ stdout }: CliResult): string[] =>
  (JSON.parse(stdout) as { files: string[] }).files.map((file) => file.slice(folder.length + 1));

describe('a Compose file may be named as an argument', () => {
  test.each([
    [
      ['shop/compose.yaml', 'shop/more.yaml'],
      ['shop/compose.yaml', 'shop/more.yaml'],
    ],
    [
      ['--file', 'shop/compose.yaml', 'shop/more.yaml'],
      ['shop/compose.yaml', 'shop/more.yaml'],
    ],
    [
      ['-f', 'shop/compose.yaml', '-f', 'shop/more.yaml'],
      ['shop/compose.yaml', 'shop/more.yaml'],
    ],
    [['shop'], ['shop/compose.yaml']],
    [['--file', 'shop'], ['shop/compose.yaml']],
    [['shop/empty'], ['shop/compose.yaml']],
  ])('%j', async (args, files) => {
    expect(filesOf(await compose(['check', ...args]))).toEqual(files);
  });

  test('and counts more than the one that the environment names', async () => {
    expect(filesOf(await compose(['check', 'shop'], { COMPOSE_FILE: 'other/compose.yaml' }))).toEqual([
      'shop/compose.yaml',
    ]);
  });

  test.each(['check', 'graph', 'explain', 'prepare'])('of "%s" too', async (command) => {
    const { exit, stdout, stderr } = await compose([command, 'other']);
    expect({ exit, stderr }).toMatchObject({ exit: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ project: 'other' });
  });

  test.each<readonly [string[], number, RegExp]>([
    [['gone.yaml'], 4, /no Compose file "gone\.yaml"\nHint: Name a file or its folder/],
    [['shop', 'other'], 2, /"shop" is a folder, and has to be named alone\nHint: Name its Compose files/],
    [['-'], 2, /not read from standard input/],
    [['/dev/null'], 1, /Cannot read "\/dev\/null": it is not a regular file/],
  ])('and is told when it cannot be: %j', async (args, exit, message) => {
    const result = await compose(['explain', ...args]);
    expect(result.stderr).toMatch(message);
    expect(result).toMatchObject({ exit, stdout: '' });
  });

  test('and a command that mends a finding finds the same project', async () => {
    mkdirSync(join(folder, 'mend'));
    writeFileSync(
      join(folder, 'mend/-f.yaml'),
      'services: { web: { image: web, volumes: [./data:/data] } }\n',
    );
    const { stdout } = await compose(['check', 'mend/-f.yaml', '-p', 'own']);
    const { findings } = JSON.parse(stdout) as { findings: { commands: string[][] }[] };
    const [command = []] = findings.flatMap(({ commands }) => commands);
    expect(command).toEqual([
      'holdfast',
      'compose',
      'prepare',
      '--project-name',
      'own',
      '--file',
      'mend/-f.yaml',
    ]);
    const prepared = await compose([...command.slice(2), '--yes']);
    expect(prepared.exit).toBe(0);
    expect(existsSync(join(folder, 'mend/data'))).toBe(true);
  });
});
