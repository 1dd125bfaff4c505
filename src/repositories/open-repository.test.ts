import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../catalog/catalog.ts';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { AppError } from '../model/errors.ts';
import { initialize } from './init.ts';
import { openKnown } from './open-repository.ts';

let stateDir: string;
let catalog: Catalog;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'open-repository-'));
  catalog = openSqliteCatalog(':memory:');
});
afterEach(() => {
  catalog[Symbol.dispose]();
  rmSync(stateDir, { recursive: true });
});

const reached = new AppError('unavailable', 'The store is reached');
const open = (): Promise<never> => Promise.reject(reached);

function remember(location: string, options: Record<string, string> | undefined, password: string): void {
  const about = { name: 'off', repositoryId: 'x', isDefault: true };
  catalog.saveRepository({ ...about, location, options, passwordReference: password });
}

test.each([
  ['rclone:b2:x', { program: '/home/bob/rclone' }],
  ['rclone:b2:x', { 'config-file': '/home/bob/rclone.conf' }],
  ['rclone::sftp,ssh=/home/bob/ssh:x', undefined],
  ['rclone:b2,ssh=/home/bob/ssh:x', undefined],
  ['sftp:host:/x', { 'ssh-config': '/home/bob/ssh' }],
])(
  'the program that a state folder names for %s %o is not run where other users can write',
  async (location, options) => {
    remember(location, options, 'env:NONE');
    const asked = { repository: undefined, passwordReference: undefined, env: {}, stateDir };
    chmodSync(stateDir, 0o777);
    await expect(openKnown(asked, { catalog, open })).rejects.toMatchObject({ code: 'denied' });
    const request = { ...asked, location: undefined };
    const maker = { has: open, open, init: open };
    await expect(initialize(request, { catalog, maker })).rejects.toMatchObject({ code: 'denied' });
    chmodSync(stateDir, 0o700);
    await expect(openKnown(asked, { catalog, open })).rejects.toBe(reached);
  },
);

test.each([
  [{ 'config-file': '/etc/holdfast/rclone.conf' }, reached],
  [undefined, { code: 'denied' }],
])(
  'where other users can write to the state folder, a program is run only when the configuration names it: %o',
  async (options, outcome) => {
    const location = 'rclone:b2:x';
    remember(location, { 'config-file': '/home/bob/rclone.conf' }, 'env:NONE');
    chmodSync(stateDir, 0o777);
    const said = { location, options, passwordReference: undefined };
    const configuration = { repository: undefined, repositories: new Map([['off', said]]) };
    const asked = { repository: undefined, passwordReference: undefined, env: {}, stateDir };
    await expect(openKnown(asked, { catalog, configuration, open })).rejects.toMatchObject(outcome);
  },
);

test('init runs no command that an untrusted state folder names for the password', async () => {
  const location = join(stateDir, 'repository');
  remember(location, undefined, `exec:touch ${stateDir}/ran`);
  chmodSync(stateDir, 0o777);
  const maker = { has: () => Promise.resolve(true), open, init: open };
  const request = { stateDir, location, passwordReference: undefined, env: { PATH: process.env['PATH'] } };
  await expect(initialize(request, { catalog, maker })).rejects.toMatchObject({ code: 'denied' });
  expect(existsSync(join(stateDir, 'ran'))).toBe(false);
});
