import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
let file: string;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  file = join(cli.mkdir('srv/app'), 'redis.conf');
  writeFileSync(file, 'appendonly yes\n', { mode: 0o640 });
  utimesSync(file, 1_700_000_000, 1_700_000_000);
  writeFileSync(join(dirname(file), 'beside'), 'not asked for\n');
});
afterEach(() => cli[Symbol.dispose]());

interface Outcomes {
  readonly outcomes: readonly { readonly outcome: string; readonly summary: { readonly files: number } }[];
}

test('a single file is saved alone, and comes back by its name with its time and mode', async () => {
  const { outcomes } = await cli.json<Outcomes>('backup', file, '--exclude', '*.conf');
  expect(outcomes).toMatchObject([{ outcome: 'good', summary: { files: 1 } }]);
  expect(await cli.run('ls', file)).not.toContain('beside');
  expect(await cli.run('dump', file, 'redis.conf')).toBe('appendonly yes\n');
  writeFileSync(file, 'appendonly no\n');
  chmodSync(file, 0o600);
  const inode = statSync(file).ino;

  expect(await cli.run('diff', file)).toMatch(/redis\.conf/);
  const dry = await cli.run('restore', file, '--dry-run');
  expect(dry).toContain(`goes in the place of "${file}"`);
  expect(dry).toContain('changes: 1');
  await cli.run('restore', file, '--yes');
  expect(readFileSync(file, 'utf8')).toBe('appendonly yes\n');
  expect(statSync(file)).toMatchObject({ mode: 0o100640, mtimeMs: 1_700_000_000_000 });
  expect(statSync(file).ino).not.toBe(inode);
  expect(readFileSync(join(dirname(file), 'beside'), 'utf8')).toBe('not asked for\n');
  expect(readdirSync(dirname(file)).toSorted()).toEqual(['beside', 'redis.conf']);
  // The replaced content is a snapshot of that file.
  const safety = await cli.run('snapshots', '--tag', 'before-restore', '-q');
  expect(await cli.run('dump', safety.trim(), 'redis.conf')).toBe('appendonly no\n');
});

test('a single file comes back where a link leads to its folder', async () => {
  const link = join(cli.folder, 'linked');
  symlinkSync(dirname(file), link);
  const named = join(link, 'redis.conf');
  await cli.run('backup', named);
  writeFileSync(file, 'appendonly no\n');
  await cli.run('restore', named, '--yes');
  expect(readFileSync(file, 'utf8')).toBe('appendonly yes\n');
});

test('a single file is restored where its folders are missing, and into another directory', async () => {
  await cli.run('backup', file);
  rmSync(join(cli.folder, 'srv'), { recursive: true });
  await cli.run('restore', file);
  expect(readFileSync(file, 'utf8')).toBe('appendonly yes\n');
  expect(readdirSync(dirname(file))).toEqual(['redis.conf']);
  await cli.run('restore', file, '--to', './elsewhere');
  expect(readFileSync(join(cli.folder, 'elsewhere/redis.conf'), 'utf8')).toBe('appendonly yes\n');
});

test('a directory that an engine made in the place of a missing file gives way to the file', async () => {
  await cli.run('backup', file);
  rmSync(file);
  mkdirSync(file);
  await cli.run('restore', file, '--yes');
  expect(readFileSync(file, 'utf8')).toBe('appendonly yes\n');
});

test('anything but a file that has taken its name meanwhile is left alone', async () => {
  await cli.run('backup', file);
  rmSync(file);
  symlinkSync('/etc/passwd', file);
  const { exit, stderr } = await cli.attempt(['restore', file, '--yes']);
  expect([exit, stderr]).toEqual([expect.any(Number), expect.stringContaining('neither a file nor')]);
  expect(exit).not.toBe(0);
  expect(readFileSync(file, 'utf8')).toBe(readFileSync('/etc/passwd', 'utf8'));
});

test('a link to a file, a pipe and a missing path are refused by name', async () => {
  symlinkSync(file, join(cli.folder, 'link'));
  execFileSync('mkfifo', [join(cli.folder, 'pipe')]);
  const refusals = await Promise.all(
    ['./link', './pipe', './none', `${file}/none`].map((one) => cli.attempt(['backup', one])),
  );
  expect(refusals.map(({ exit }) => exit)).toEqual([2, 2, 4, 4]);
  expect(refusals[0]?.stderr).toContain(`Back up the file itself: "${file}"`);
  expect(await cli.run('snapshots', '-q')).toBe('');
});

test('a policy that names a single file saves it, and coverage shows it', async () => {
  writeFileSync(
    join(cli.stateDir, 'holdfast.yaml'),
    `policies: { conf: { paths: '${file}', schedule: '@daily' } }\n`,
  );
  await cli.run('policy', 'run', 'conf');
  const places = await cli.json<{ places: { name: string; state: string }[] }>('coverage');
  expect(places.places).toContainEqual(expect.objectContaining({ name: file, state: 'protected' }));
  expect(existsSync(file)).toBe(true);
});
