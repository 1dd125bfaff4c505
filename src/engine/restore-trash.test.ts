import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryVolumes, directoryVolumes } from '../../test/support/directory-volumes.ts';
import type { Host } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { consumer, type DirectoryHost, openDirectoryHost } from './directory-host.fixture.ts';
import { restoreTrash, type RestoreTrashOptions } from './restore-trash.ts';
import { openForeignTrash } from './trash-foreign.ts';

let folder: string;
let managed: DirectoryVolumes;
let engine: DirectoryHost;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'restore-trash-'));
  managed = directoryVolumes(join(folder, 'ours'));
  engine = openDirectoryHost(join(folder, 'engine'), 'direct');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const stateDir = (): string => join(folder, 'state');

/** What an engine had, with one file, is in the trash. */
async function trashed(name: string, content: string): Promise<void> {
  await engine.createVolume({ name, driver: 'local', labels: { env: 'prod' }, options: {} });
  writeFileSync(join(engine.path(name), 'file'), content);
  await using trash = await openForeignTrash({ managed, stateDir: stateDir() });
  await trash.take({ name, path: engine.path(name), labels: { env: 'prod' } }, async () => {
    await engine.removeVolume(name);
    return true;
  });
}

function restore(
  which: string,
  options: RestoreTrashOptions & { readonly host?: Host; readonly isOwnWanted?: boolean } = {},
): Promise<string> {
  const { isOwnWanted = false, host = { ...engine, kind: 'docker' }, ...rest } = options;
  return restoreTrash({ managed, host: async () => host, stateDir: stateDir(), isOwnWanted }, which, rest);
}

const fileOf = (name: string): string => readFileSync(join(engine.path(name), 'file'), 'utf8');
const inTrash = async (): Promise<number> => (await managed.listTrash()).length;

describe('a volume that an engine had', () => {
  test('comes back at the engine, with its data and labels, and is none of ours', async () => {
    await trashed('pg', 'precious');
    expect(await restore('pg')).toBe('pg');
    expect(fileOf('pg')).toBe('precious');
    expect((await engine.findVolume('pg'))?.labels).toEqual({ env: 'prod' });
    expect(await managed.list()).toEqual([]);
    expect(await inTrash()).toBe(0);
    expect(readdirSync(join(stateDir(), 'journal-trash'))).toEqual(['lock']);
  });

  test('comes back by its name at the engine where the trash has it under another', async () => {
    await managed.create({ name: 'pg', driver: 'local', labels: {}, options: {} });
    await trashed('pg', 'precious');
    expect(await restore('pg', { to: 'pg-before' })).toBe('pg-before');
    expect(fileOf('pg-before')).toBe('precious');
    expect((await managed.list()).map(({ name }) => name)).toEqual(['pg']);
  });

  test('takes the place of a volume that is empty and that nobody uses', async () => {
    await trashed('pg', 'precious');
    await engine.createVolume({ name: 'pg', driver: 'local', labels: {}, options: {} });
    await restore('pg');
    expect(fileOf('pg')).toBe('precious');
  });

  test('is refused where a volume holds data or is in use, and stays in the trash', async () => {
    await trashed('pg', 'precious');
    await engine.createVolume({ name: 'pg', driver: 'local', labels: {}, options: {} });
    engine.set('pg', { consumers: [consumer('web')] });
    await expect(restore('pg')).rejects.toMatchObject({ code: 'in-use' });
    engine.set('pg', { consumers: [] });
    writeFileSync(join(engine.path('pg'), 'file'), 'newer');
    await expect(restore('pg')).rejects.toMatchObject({ code: 'exists' });
    expect(fileOf('pg')).toBe('newer');
    expect(await inTrash()).toBe(1);
  });

  test('is in the trash again, and no empty volume at the engine, when the engine fails', async () => {
    await trashed('pg', 'precious');
    const openData = async (): Promise<never> => {
      throw new AppError('unavailable', 'The engine is away');
    };
    await expect(restore('pg', { host: { ...engine, kind: 'docker', openData } })).rejects.toThrow('is away');
    expect(await engine.findVolume('pg')).toBeUndefined();
    expect(await managed.list()).toEqual([]);
    await restore('pg');
    expect(fileOf('pg')).toBe('precious');
  });

  test('is in the trash again after a kill on the way', async () => {
    await trashed('pg', 'precious');
    await managed.restoreTrash('pg', { to: 'pg.abc' });
    mkdirSync(join(stateDir(), 'journal-trash'), { recursive: true });
    writeFileSync(join(stateDir(), 'journal-trash/1.json'), JSON.stringify({ name: 'pg.abc' }));
    expect(await restore('pg')).toBe('pg');
    expect(fileOf('pg')).toBe('precious');
    expect(await managed.list()).toEqual([]);
  });

  test('is never quietly made one of ours: only when those are asked for', async () => {
    await trashed('pg', 'precious');
    await expect(restore('pg', { host: engine })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await restore('pg', { isOwnWanted: true })).toBe('pg');
    expect((await managed.find('pg'))?.labels).toEqual({ env: 'prod' });
    expect(existsSync(engine.path('pg'))).toBe(false);
  });
});

test('a volume of ours comes back as one of ours, whatever the host is', async () => {
  await managed.create({ name: 'own', driver: 'local', labels: {}, options: {} });
  await managed.remove('own');
  expect(await restore('own')).toBe('own');
  expect((await managed.list()).map(({ name }) => name)).toEqual(['own']);
});
