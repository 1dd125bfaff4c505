import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { folderIdentity } from '../lib/folder-names.ts';
import type { DirectoryData } from '../hosts/host.ts';
import { exchange } from '../lib/exchange.ts';
import { fromText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { namesIn } from '../../test/fixtures/directory-host.ts';
import { listTrash } from './restore-trash.ts';
import { lockRestores } from './trash-journal.ts';
import { TrashWorld } from '../../test/fixtures/trash-world.ts';

let world: TrashWorld;
beforeEach(() => (world = new TrashWorld()));
afterEach(() => world[Symbol.dispose]());

describe('a failure or kill after the data has reached the engine', () => {
  test('does not take it away again', async () => {
    await world.trashed('pg', 'precious');
    const host = world.once('openData', async (open) => {
      const data = (await open()) as DirectoryData;
      const fail = async (): Promise<never> => {
        throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      };
      return { ...data, [Symbol.asyncDispose]: fail };
    });
    await expect(world.restore('pg', { host })).rejects.toThrow('EIO');
    expect(world.fileOf('pg')).toBe('precious');
    expect(await world.engine.findVolume('pg')).toBeDefined();
    expect(await world.inTrash()).toBe(0);
    expect(await world.managed.list()).toEqual([]);
  });

  /** Leaves what a kill leaves: the data is at the engine, and the exchanged directory is ours. */
  async function killedAfterExchange(more: { readonly isGone?: boolean } = {}): Promise<string> {
    await world.trashed('pg', 'newest');
    const { mountpoint } = await world.managed.restoreTrash('pg', { to: 'pg.abc' });
    const data = folderIdentity(mountpoint);
    world.writeJournal('1', JSON.stringify({ name: 'pg.abc', data }));
    await world.make('pg');
    exchange(fromText(mountpoint), fromText(world.engine.path('pg')));
    if (more.isGone === true) rmdirSync(mountpoint);
    return mountpoint;
  }

  test.each([false, true])('leaves nothing in the trash that could be mistaken for it', async (isGone) => {
    await world.trashed('pg', 'older');
    await killedAfterExchange({ isGone });
    expect(await world.list()).toHaveLength(1);
    expect(world.fileOf('pg')).toBe('newest');
    await world.restore('pg', { to: 'pg-before' });
    expect(world.fileOf('pg-before')).toBe('older');
    expect(await world.managed.list()).toEqual([]);
    expect(world.journals()).toEqual([]);
  });

  test('moves what an app has written into the other directory to the trash', async () => {
    writeFileSync(join(await killedAfterExchange(), 'written'), 'by an app');
    expect(await world.list()).toHaveLength(1);
    expect(world.fileOf('pg')).toBe('newest');
    const { mountpoint } = await world.managed.restoreTrash('pg.abc');
    expect(readFileSync(join(mountpoint, 'written'), 'utf8')).toBe('by an app');
  });
});

describe('data that a kill left on the way', () => {
  /** Out of the trash, and not at the engine yet. */
  async function killedOnTheWay(journal: Record<string, unknown> = {}): Promise<void> {
    await world.trashed('pg', 'precious');
    const { mountpoint } = await world.managed.restoreTrash('pg', { to: 'pg.abc' });
    const data = folderIdentity(mountpoint);
    world.writeJournal('1', JSON.stringify({ name: 'pg.abc', data, ...journal }));
  }

  test.each([undefined, 'noted'])(
    'is in the trash again when it is listed, and comes back',
    async (noted) => {
      await killedOnTheWay(noted === undefined ? { data: undefined } : {});
      expect(await world.list()).toHaveLength(1);
      expect(world.journals()).toEqual([]);
      expect(await world.restore('pg')).toBe('pg');
      expect(world.fileOf('pg')).toBe('precious');
      expect(await world.managed.list()).toEqual([]);
    },
  );

  test('is in the trash again, and its partial copy is removed from the engine', async () => {
    await world.make('other');
    const root = world.engine.path('other');
    mkdirSync(join(root, '.holdfast-stage-0123456789abcdef'));
    writeFileSync(join(root, '.holdfast-stage-0123456789abcdef/half'), 'half');
    writeFileSync(join(root, 'of-an-app'), 'x');
    await killedOnTheWay({ root });
    expect(await world.list()).toHaveLength(1);
    expect(namesIn(root)).toEqual(['of-an-app']);
  });

  test('is settled where the engine no longer has such a volume', async () => {
    await killedOnTheWay({ root: join(world.folder, 'nowhere') });
    expect(await world.list()).toHaveLength(1);
    expect(world.journals()).toEqual([]);
    expect(world.warnings).toEqual([]);
  });

  test('is not touched while another process is restoring', async () => {
    await killedOnTheWay();
    await using _lock = await lockRestores(world.stateDir);
    expect(await world.list()).toEqual([]);
    expect(world.journals()).toEqual(['1.json']);
    expect(world.warnings).toEqual([]);
  });

  test.each(['{"name":', '', '[]', '{"name":7}', 'null'])(
    'and is damaged (%s) is told, and does not hold up the rest',
    async (text) => {
      await killedOnTheWay();
      world.writeJournal('0', text);
      expect(await world.list()).toHaveLength(1);
      expect(world.warnings).toEqual([expect.stringContaining('0.json" is damaged')]);
      expect(await world.restore('pg')).toBe('pg');
      expect(world.fileOf('pg')).toBe('precious');
      expect(world.journals()).toEqual(['0.json']);
    },
  );

  test('and cannot be moved to the trash now is reported, and moved the next time', async () => {
    await killedOnTheWay();
    const failing = { ...world.managed, remove: () => Promise.reject(new AppError('locked', 'Not now')) };
    const onWarning = (text: string) => void world.warnings.push(text);
    expect(await listTrash({ managed: failing, stateDir: world.stateDir, onWarning })).toEqual([]);
    expect(world.warnings).toEqual([expect.stringContaining('Not now')]);
    expect(await world.list()).toHaveLength(1);
  });
});
