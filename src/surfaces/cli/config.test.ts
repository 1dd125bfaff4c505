import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from './config.ts';
import { mergeFlags, takeLeadingFlags } from './global-flags.ts';

test('takeLeadingFlags() takes the global flags before the command, and none after it', () => {
  expect(takeLeadingFlags(['--repo', '/r', '--format=json', '-q', 'backup', '--yes', 'x'])).toEqual({
    flags: { repo: '/r', format: 'json', quiet: true },
    rest: ['backup', '--yes', 'x'],
  });
  expect(takeLeadingFlags(['--help'])).toEqual({ flags: {}, rest: ['--help'] });
  expect(() => takeLeadingFlags(['--repo'])).toThrow(/needs a value/);
});

test('a flag after the command wins over the same before it, and an absent one hides nothing', () => {
  expect(mergeFlags({ repo: 'a', quiet: true }, { repo: 'b', quiet: undefined as never })).toEqual({
    repo: 'b',
    quiet: true,
  });
});

test.runIf(process.getuid?.() === 0)('a user without a home must name the state folder', () => {
  const module = JSON.stringify(join(import.meta.dirname, 'config.ts'));
  const ask = (flags: object) => {
    const source = `import { readConfig } from ${module}; console.log(readConfig(${JSON.stringify(flags)}, {}).stateDir)`;
    const stranger = { uid: 54_321, gid: 54_321, env: {}, encoding: 'utf8' } as const;
    return spawnSync(process.execPath, ['--input-type=module', '-e', source], stranger);
  };
  expect(ask({}).stderr).toContain('There is no home folder for what Holdfast remembers');
  expect(ask({ stateDir: '/srv/state' }).stdout).toBe('/srv/state\n');
});

test('the command line wins over the environment, and an empty variable counts as unset', () => {
  const env = {
    HOLDFAST_STATE_DIR: '/env',
    HOLDFAST_HOST: '',
    HOLDFAST_REPOSITORY: 'main',
    HOLDFAST_PASSWORD: 'p',
  };
  expect(readConfig({ stateDir: '/flag' }, env)).toMatchObject({
    stateDir: '/flag',
    host: undefined,
    repository: 'main',
    passwordReference: 'env:HOLDFAST_PASSWORD',
  });
  expect(readConfig({ passwordCommand: 'pass show x' }, env)).toMatchObject({
    stateDir: '/env',
    passwordReference: 'exec:pass show x',
  });
  expect(readConfig({}, { ...env, HOLDFAST_PASSWORD_FILE: '/f' })).toMatchObject({
    passwordReference: 'file:/f',
  });
  expect(() => readConfig({ passwordFile: 'a', passwordCommand: 'b' }, {})).toThrow(/exclude each other/);
});
