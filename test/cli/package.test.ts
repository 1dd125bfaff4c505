import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustRun, runCommand } from '../../scripts/run-command.ts';

const root = dirname(dirname(import.meta.dirname));

let folder: string;
/** The unpacked package, with the packages that it needs beside it. */
let installed: string;
let tarball: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'package-'));
  tarball = await packCheckout();
  installed = join(folder, 'prefix');
  mkdirSync(installed);
  await npm(installed, 'install', '--prefer-offline', '--ignore-scripts', '--prefix', installed, tarball);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Packs a checkout in which nothing was ever built. */
async function packCheckout(): Promise<string> {
  const checkout = join(folder, 'checkout');
  const left = new Set(['.git', 'node_modules', 'dist', 'coverage', 'test']);
  cpSync(root, checkout, {
    recursive: true,
    filter: (path) => dirname(path) !== root || !left.has(basename(path)),
  });
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  await npm(checkout, 'pack', '--pack-destination', folder);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return join(folder, `holdfast-${version}.tgz`);
}

/** npm with the user's own settings and cache. */
async function npm(cwd: string, ...args: string[]): Promise<void> {
  const { homedir } = userInfo();
  const env = {
    ...process.env,
    npm_config_cache: join(homedir, '.npm'),
    npm_config_userconfig: join(homedir, '.npmrc'),
  };
  await mustRun('npm', args, { cwd, env });
}

/** A PATH with a Node.js that is too old, as in many distributions. */
function oldPath(): string {
  const bin = join(folder, 'old');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'node'), '#!/bin/sh\n[ "$1" = --version ] && echo v20.19.0\nexit 1\n');
  chmodSync(join(bin, 'node'), 0o755);
  return `${bin}:/usr/bin:/bin`;
}

test('`npm pack` in a checkout that was never built makes a package that backs up and restores, where Node.js is too old', async () => {
  const home = join(folder, 'home');
  const data = join(folder, 'data');
  mkdirSync(data);
  writeFileSync(join(data, 'file'), 'content');
  const holdfast = async (...args: string[]): Promise<string> =>
    await mustRun(join(installed, 'node_modules/.bin/holdfast'), args, {
      cwd: folder,
      env: {
        PATH: oldPath(),
        HOME: home,
        HOLDFAST_HOST: 'embedded',
        HOLDFAST_STATE_DIR: join(folder, 'state'),
      },
    });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(await holdfast('--version')).toBe(`${version}\n`);
  await holdfast('init', '--repo', join(folder, 'repository'));
  await holdfast('backup', './data');
  await holdfast('restore', './data', '--to', './restored');
  expect(readFileSync(join(folder, 'restored/file'), 'utf8')).toBe('content');
});

test('the command is executable in the package itself, and nothing of the sources or tests is in it', async () => {
  const listing = await mustRun('tar', ['-tvzf', tarball]);
  expect(listing).toMatch(/^-rwxr-xr-x .* package\/bin\/holdfast$/m);
  expect(listing).toMatch(/ package\/dist\/main\.js$/m);
  expect(listing).not.toMatch(/\.test\.|package\/(?:src|test|scripts)\//);
});

test('the licences of the packages in the bundle go along, also where the folder of packages was a link', () => {
  const notices = readFileSync(join(installed, 'node_modules/holdfast/dist/THIRD-PARTY-NOTICES'), 'utf8');
  for (const name of ['@noble/ciphers', '@stricli/core', 'aws4', 'croner', 'nodemailer', 'yaml'])
    expect(notices).toContain(`${name} `);
});

test('a service that an earlier version made starts the program where that had it', async () => {
  const former = join(installed, 'node_modules/holdfast/dist/surfaces/cli/main.js');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(await mustRun(process.execPath, [former, '--version'], { cwd: folder })).toBe(`${version}\n`);
});

test('a checkout runs its bundle while that is of the sources that are there, and its sources otherwise', async () => {
  const checkout = join(folder, 'checkout');
  const version = async (): Promise<string> =>
    await mustRun(join(checkout, 'bin/holdfast'), ['--version'], { cwd: folder });
  writeFileSync(join(checkout, 'dist/main.js'), "console.log('the bundle')");
  expect(await version()).toBe('the bundle\n');
  const source = join(checkout, 'src/lib/version.ts');
  const { mtime } = statSync(source);
  writeFileSync(source, "export const version = '9.9.9';\n");
  utimesSync(source, mtime, mtime);
  expect(await version()).toBe('9.9.9\n');
});

test('the command runs where any part of its path is a link', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const links = join(folder, 'links');
  mkdirSync(links);
  const home = join(installed, 'node_modules/holdfast');
  symlinkSync(home, join(links, 'current'));
  symlinkSync(join(home, 'bin'), join(links, 'bin'));
  symlinkSync(join(home, 'bin/holdfast'), join(links, 'command'));
  for (const command of ['current/bin/holdfast', 'bin/holdfast', 'command'])
    expect(await mustRun(join(links, command), ['--version'], { cwd: folder })).toBe(`${version}\n`);
});

test('a package without its compiled code says what is missing', async () => {
  const broken = join(folder, 'broken');
  mkdirSync(join(broken, 'bin'), { recursive: true });
  cpSync(join(installed, 'node_modules/holdfast/bin'), join(broken, 'bin'), { recursive: true });
  const { exitCode, output } = await runCommand(join(broken, 'bin/holdfast'), ['--version']);
  expect(exitCode).toBe(1);
  expect(output).toMatch(/^holdfast: This package is incomplete: ".*\/dist\/main\.js" is missing\..*\n$/);
});
