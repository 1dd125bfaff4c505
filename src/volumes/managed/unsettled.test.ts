import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import { setImmutable } from './volume-folders.ts';
import { bootId } from '../../lib/process-identity.ts';
import { memoryCatalog } from '../../../test/fixtures/memory-catalog.ts';
import { openWithDrivers } from '../../../test/fixtures/open-with-drivers.ts';
import { folderIdentity } from '../../lib/folder-names.ts';

let stateDir: string;
let catalog: Catalog;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'unsettled-'));
  catalog = memoryCatalog();
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const open = () => openWithDrivers({ stateDir, catalog });

const spec = { name: 'pg', driver: 'local', labels: {}, options: {} };
const record = { ...spec, createdAt: '2026-01-01T00:00:00.000Z', anonymous: false };
const day = { removedAt: '2999-01-01T00:00:00.000Z', expiresAt: '2999-01-02T00:00:00.000Z' };
const mark = JSON.stringify({ ...record, ...day });
const entry = 'pg.0123456789abcdef';
const live = (): string => join(stateDir, 'volumes/pg');
const trashed = (): string => join(stateDir, 'trash', entry);

/** Puts a file into a volume's folder. */
function fill(folder: string): void {
  mkdirSync(join(folder, '_data'), { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, '_data/file'), 'data');
}

function remove({ boot = 'earlier', madeIn }: { boot?: string; madeIn?: string } = {}): void {
  if (madeIn === undefined) catalog.addManagedVolume(record);
  else catalog.unsettled.add(record, madeIn);
  catalog.unsettled.beginRemoval({ entry, name: 'pg', folder: folderIdentity(live()) ?? '1:1', mark, boot });
}

describe('after a power cut, a volume that had been made', () => {
  test.each([
    ['none of its directories', () => undefined],
    ['only its folder', () => mkdirSync(live(), { recursive: true, mode: 0o711 })],
  ])('and has %s has them again, empty', async (_, leave) => {
    catalog.unsettled.add(record, 'earlier');
    leave();
    await using host = await open();
    await using data = await host.openData('pg');
    expect(readdirSync(data.way === 'direct' ? data.root : '')).toEqual([]);
    expect(lstatSync(live()).mode & 0o7777).toBe(0o711);
    expect(lstatSync(join(live(), '_data')).mode & 0o7777).toBe(0o755);
    expect(catalog.unsettled.list()).toEqual([]);
  });

  test('and is whole keeps its contents', async () => {
    catalog.unsettled.add(record, 'earlier');
    fill(live());
    await using _ = await open();
    expect(readFileSync(join(live(), '_data/file'), 'utf8')).toBe('data');
    expect(catalog.unsettled.list()).toEqual([]);
  });

  test('and whose folder cannot be made keeps its record, and is tried again', async () => {
    catalog.unsettled.add(record, 'earlier');
    mkdirSync(join(stateDir, 'volumes'));
    writeFileSync(live(), 'in the way');
    {
      await using host = await open();
      expect(await host.findVolume('pg')).toBeDefined();
      expect(readFileSync(live(), 'utf8')).toBe('in the way');
    }
    await rm(live());
    await using _ = await open();
    expect(readdirSync(live())).toEqual(['_data']);
  });
});

describe('an empty folder never takes the place', () => {
  test('of a volume that was made since the machine started', async () => {
    catalog.unsettled.add(record, bootId());
    await using host = await open();
    await expect(host.openData('pg')).rejects.toMatchObject({ code: 'integrity' });
    expect(existsSync(live())).toBe(false);
  });

  test('of a volume that had settled', async () => {
    {
      await using host = await open();
      await host.createVolume(spec);
      expect(catalog.unsettled.list()).toHaveLength(1);
    }
    expect(catalog.unsettled.list()).toEqual([]);
    await rm(live(), { recursive: true });
    await using host = await open();
    await expect(host.openData('pg')).rejects.toMatchObject({ code: 'integrity' });
    expect(existsSync(live())).toBe(false);
  });
});

test('a volume restored from the trash stays, even if its removal was never finished', async () => {
  fill(live());
  catalog.addManagedVolume(record);
  {
    await using host = await open();
    await host.managed.remove('pg');
    const [removal] = catalog.unsettled.listRemovals();
    if (removal === undefined) throw new Error('nothing is unsettled');
    catalog.unsettled.endRemovals([removal.entry]);
    // As if the last start could not finish it.
    catalog.addManagedVolume(record);
    catalog.unsettled.beginRemoval({ ...removal, boot: 'earlier' });
    await host.managed.restoreTrash('pg');
    expect(catalog.unsettled.listRemovals()).toEqual([]);
  }
  await using host = await open();
  expect(await host.findVolume('pg')).toMatchObject({ name: 'pg' });
  expect(readdirSync(join(live(), '_data'))).toEqual(['file']);
});

test('a volume whose permanent removal was killed does not come back, though it had not settled', async () => {
  catalog.unsettled.add(record, bootId());
  fill(join(stateDir, 'trash', `${entry}.removing`));
  await using host = await open();
  expect(await host.findVolume('pg')).toBeUndefined();
  expect(readdirSync(join(stateDir, 'trash'))).toEqual([]);
});

test('a volume whose disk is away keeps its record, whatever of that name was removed before', async () => {
  catalog.addManagedVolume({ ...record, createdAt: '2026-02-02T00:00:00.000Z' });
  fill(trashed());
  writeFileSync(join(trashed(), 'trashed.json'), mark);
  await using host = await open();
  expect(await host.findVolume('pg')).toBeDefined();
  await expect(host.openData('pg')).rejects.toMatchObject({ code: 'integrity' });
  expect(await host.managed.listTrash()).toMatchObject([{ name: 'pg' }]);
});

test.runIf(process.geteuid?.() === 0)(
  'a removal that cannot be recorded does not block the other volumes',
  async () => {
    fill(trashed());
    remove();
    setImmutable(trashed(), true);
    try {
      await using host = await open();
      expect(await host.listVolumes()).toEqual([]);
      expect(catalog.unsettled.listRemovals()).toMatchObject([{ entry }]);
    } finally {
      setImmutable(trashed(), false);
    }
    await using _ = await open();
    expect(catalog.unsettled.listRemovals()).toEqual([]);
  },
);

describe('after a power cut, a volume that had been removed', () => {
  const expectInTrash = async (files: readonly string[]): Promise<void> => {
    await using host = await open();
    expect(await host.findVolume('pg')).toBeUndefined();
    expect(catalog.unsettled.listRemovals()).toEqual([]);
    expect(await host.managed.listTrash()).toMatchObject([{ name: 'pg', ...day }]);
    await host.managed.restoreTrash('pg');
    expect(readdirSync(join(live(), '_data'))).toEqual(files);
    expect(readdirSync(join(stateDir, 'trash'))).toEqual([]);
  };

  test('and is still in its place goes into the trash', async () => {
    fill(live());
    remove();
    await expectInTrash(['file']);
  });

  test.each(['', mark.slice(0, 20), mark])(
    'and lies in the trash with the mark %j stays there',
    async (left) => {
      fill(trashed());
      writeFileSync(join(trashed(), 'trashed.json'), left);
      remove();
      await expectInTrash(['file']);
    },
  );

  test('and lies in the trash without a mark stays there', async () => {
    fill(trashed());
    remove();
    await expectInTrash(['file']);
  });

  test('and had just been made, so that neither is on the disk, lies in the trash, empty', async () => {
    remove({ madeIn: 'earlier' });
    await expectInTrash([]);
  });

  test.each([
    ['its place', live],
    ['the trash', trashed],
  ])('and had just been made, with only its folder in %s, lies in the trash as well', async (_, place) => {
    mkdirSync(place(), { recursive: true });
    remove({ madeIn: 'earlier' });
    await expectInTrash([]);
  });

  test('and was deleted from the trash by hand stays deleted', async () => {
    remove();
    await using host = await open();
    expect(await host.managed.listTrash()).toEqual([]);
    expect(catalog.unsettled.listRemovals()).toEqual([]);
  });

  test.each(['its place', 'the trash'])(
    'and made again, while what it was lies in %s, is another volume',
    async (where) => {
      fill(where === 'the trash' ? trashed() : live());
      remove();
      catalog.unsettled.add({ ...record, createdAt: '2026-01-02T00:00:00.000Z' }, 'earlier');
      await using host = await open();
      expect(await host.findVolume('pg')).toMatchObject({ createdAt: '2026-01-02T00:00:00.000Z' });
      expect(readdirSync(join(live(), '_data'))).toEqual([]);
      expect(readdirSync(join(trashed(), '_data'))).toEqual(['file']);
      await host.managed.restoreTrash('pg', { to: 'before' });
      expect(readdirSync(join(stateDir, 'volumes/before/_data'))).toEqual(['file']);
    },
  );

  test.each([
    ['itself', () => folderIdentity(live()) ?? ''],
    ['nothing any more, as in a copy', () => '1:1'],
  ])('whose name another had after it, which was removed too, has what is known by %s', async (_, folder) => {
    fill(live());
    const later = { ...record, createdAt: '2026-01-02T00:00:00.000Z' };
    const laterMark = JSON.stringify({ ...later, ...day, removedAt: '2999-01-01T00:00:01.000Z' });
    const name = 'pg';
    catalog.addManagedVolume(record);
    catalog.unsettled.beginRemoval({ entry, name, folder: folder(), mark, boot: 'earlier' });
    catalog.unsettled.add(later, 'earlier');
    // By its name it sorts first.
    const laterEntry = 'pg.0000000000000000';
    catalog.unsettled.beginRemoval({
      ...{ entry: laterEntry, name, folder: '2:2' },
      ...{ mark: laterMark, boot: 'earlier' },
    });
    await using _host = await open();
    expect(readdirSync(join(trashed(), '_data'))).toEqual(['file']);
    expect(readdirSync(join(stateDir, 'trash', laterEntry, '_data'))).toEqual([]);
    expect(catalog.unsettled.listRemovals()).toEqual([]);
  });

  test('leaves a later volume of its name alone', async () => {
    remove();
    fill(live());
    catalog.addManagedVolume(record);
    await using _ = await open();
    expect(readdirSync(join(live(), '_data'))).toEqual(['file']);
    expect(catalog.unsettled.listRemovals()).toEqual([]);
  });
});

describe('after a kill, a volume that had been removed, but not moved', () => {
  test('is moved at the next start', async () => {
    fill(live());
    remove({ boot: bootId() });
    await using host = await open();
    expect(existsSync(live())).toBe(false);
    expect(await host.managed.listTrash()).toMatchObject([{ name: 'pg' }]);
    expect(catalog.unsettled.listRemovals()).toEqual([]);
  });

  test('is moved before another program makes one of that name', async () => {
    await using host = await open();
    fill(live());
    remove({ boot: bootId() });
    await host.createVolume(spec);
    expect(readdirSync(join(live(), '_data'))).toEqual([]);
    expect(readdirSync(join(trashed(), '_data'))).toEqual(['file']);
  });
});

test('a removal that fails leaves the volume as it was', async () => {
  await using host = await open();
  await host.createVolume(spec);
  writeFileSync(join(live(), '_data/file'), 'data');
  mkdirSync(join(live(), 'trashed.json'));
  await expect(host.managed.remove('pg')).rejects.toMatchObject({
    message: expect.stringContaining('Cannot remove volume "pg"') as string,
  });
  expect(await host.findVolume('pg')).toBeDefined();
  expect(readdirSync(join(live(), '_data'))).toEqual(['file']);
  expect(catalog.unsettled.listRemovals()).toEqual([]);
});

test('volumes that were made and removed are settled when the program ends', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `volume-${index}`);
  {
    await using host = await open();
    for (const name of names) await host.createVolume({ ...spec, name });
    for (const name of names.slice(0, 20)) await host.managed.remove(name);
    expect(catalog.unsettled.list()).toHaveLength(20);
    expect(catalog.unsettled.listRemovals()).toHaveLength(20);
  }
  expect([catalog.unsettled.list(), catalog.unsettled.listRemovals()]).toEqual([[], []]);
  await using host = await open();
  expect(await host.listVolumes()).toHaveLength(20);
  expect(await host.managed.listTrash()).toHaveLength(20);
});
