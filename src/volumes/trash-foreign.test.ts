import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { folderIdentity } from '../lib/folder-names.ts';
import { type DirectoryVolumes, directoryVolumes } from '../../test/support/directory-volumes.ts';
import { memoryCatalog } from '../../test/fixtures/memory-catalog.ts';
import { openWithDrivers } from '../../test/fixtures/open-with-drivers.ts';
import { exchange } from '../lib/exchange.ts';
import { fromText } from '../model/byte-string.ts';
import { takeLeases } from '../leases/index.ts';
import { type ForeignTrash, openForeignTrash } from './trash-foreign.ts';

let folder: string;
let managed: DirectoryVolumes;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'foreign-'));
  managed = directoryVolumes(join(folder, 'ours'));
  path = join(folder, 'theirs/pg/_data');
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'file'), 'precious');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (): Promise<ForeignTrash> => openForeignTrash({ managed, stateDir: join(folder, 'state') });
const volume = () => ({ name: 'pg', path, labels: { env: 'prod' } });
const removeThere = async (): Promise<boolean> => {
  rmSync(join(path, '..'), { recursive: true });
  return true;
};
const journals = (): string[] =>
  readdirSync(join(folder, 'state/journal-foreign')).filter((name) => name.endsWith('.json'));

describe('the trash for volumes of another engine', () => {
  test('holds the data and the labels of a volume before the engine removes it', async () => {
    await using trash = await open();
    await trash.take(volume(), async () => {
      const kept = await managed.find('pg');
      expect(kept?.labels).toMatchObject({ env: 'prod' });
      expect(readFileSync(join(kept?.mountpoint ?? '', 'file'), 'utf8')).toBe('precious');
      expect(readdirSync(path)).toEqual([]);
      return await removeThere();
    });
    expect(managed.calls).toEqual(['remove pg']);
    expect(journals()).toEqual([]);
  });

  test('takes what the engine has removed also while a backup of all our volumes reads it', async () => {
    const [stateDir, catalog] = [join(folder, 'state'), memoryCatalog()];
    await using host = await openWithDrivers({ stateDir, catalog });
    await using trash = await openForeignTrash({ managed: host.managed, stateDir });
    await using held = new AsyncDisposableStack();
    const isTaken = await trash.take(volume(), async () => {
      const places = [{ kind: 'volume', name: 'pg', hostIdentity: catalog.stateId() }] as const;
      held.use(await takeLeases({ stateDir, catalog }, { places, work: 'back up' }, {}));
      return await removeThere();
    });
    expect(isTaken).toBe(true);
    expect((await host.managed.listTrash()).map(({ name }) => name)).toEqual(['pg']);
    expect(journals()).toEqual([]);
  });

  test('gives everything back as it was when the engine refuses', async () => {
    await using trash = await open();
    const { ino } = statSync(path);
    expect(await trash.take(volume(), async () => false)).toBe(false);
    expect(statSync(path).ino).toBe(ino);
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('precious');
    expect(await managed.list()).toEqual([]);
    expect(journals()).toEqual([]);
  });

  test('puts nothing back while the engine may still remove it', async () => {
    {
      await using trash = await open();
      const unknown = trash.take(volume(), async () => {
        throw new Error('no answer');
      });
      await expect(unknown).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('no answer') as string,
      });
      expect(readdirSync(path)).toEqual([]);
    }
    await using _again = await open();
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('precious');
  });

  test('takes no symbolic link, nor what has replaced the data meanwhile', async () => {
    await using trash = await open();
    const [moved, victim] = [join(folder, 'moved'), join(folder, 'victim')];
    mkdirSync(victim);
    renameSync(path, moved);
    symlinkSync(victim, path);
    await expect(trash.take(volume(), removeThere)).rejects.toMatchObject({ code: 'conflict' });
    expect(await managed.list()).toEqual([]);
    rmSync(path);
    renameSync(moved, path);
    // The engine refuses, and another program has put a link where the data would go back.
    const refused = trash.take(volume(), async () => {
      rmdirSync(path);
      symlinkSync(victim, path);
      return false;
    });
    await expect(refused).rejects.toMatchObject({ code: 'conflict' });
    const kept = await managed.find('pg');
    expect(readFileSync(join(kept?.mountpoint ?? '', 'file'), 'utf8')).toBe('precious');
    expect(readlinkSync(path)).toBe(victim);
    expect(readdirSync(victim)).toEqual([]);
  });

  test('counts a volume as removed when it is gone, whatever the engine answered', async () => {
    await using trash = await open();
    const taken = trash.take(volume(), async () => {
      await removeThere();
      throw new Error('cut off');
    });
    expect(await taken).toBe(true);
    expect(managed.calls).toEqual(['remove pg']);
  });

  test('stores a volume whose name is taken under a similar one', async () => {
    await managed.create({ name: 'pg', driver: 'local', labels: {}, options: {} });
    await using trash = await open();
    await trash.take(volume(), removeThere);
    expect(managed.calls).toEqual([expect.stringMatching(/^remove pg\.[0-9a-f]{6}$/)]);
    expect(await managed.find('pg')).toBeDefined();
  });

  test('loses nothing that an app writes while the engine refuses', async () => {
    await using trash = await open();
    const refuse = async (): Promise<boolean> => {
      writeFileSync(join(path, 'new'), 'by an app');
      return false;
    };
    expect(await trash.take(volume(), refuse)).toBe(false);
    expect(readdirSync(path)).toEqual(['file']);
    expect(managed.calls).toEqual(['remove pg']);
    const { mountpoint } = await managed.restoreTrash('pg');
    expect(readFileSync(join(mountpoint, 'new'), 'utf8')).toBe('by an app');
  });

  test('is held by one process at a time', async () => {
    await using _first = await open();
    await expect(open()).rejects.toMatchObject({ code: 'in-use' });
  });
});

describe('what was interrupted', () => {
  /** Leaves what a kill leaves: everything done so far, and no more. */
  async function interrupted(during: () => Promise<unknown>): Promise<void> {
    await using trash = await open();
    const reached = Promise.withResolvers<void>();
    void trash.take(volume(), async () => {
      await during();
      reached.resolve();
      return await new Promise<boolean>(() => undefined);
    });
    await reached.promise;
  }

  test('before the engine removed the volume is undone: the data is back where it was', async () => {
    const { ino } = statSync(path);
    await interrupted(async () => undefined);
    expect(readdirSync(path)).toEqual([]);
    await using _trash = await open();
    expect(statSync(path).ino).toBe(ino);
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('precious');
    expect(managed.calls).toEqual(['delete pg']);
    expect(journals()).toEqual([]);
  });

  test('after the engine removed the volume is finished: the data is in the trash', async () => {
    await interrupted(removeThere);
    await using _trash = await open();
    expect(managed.calls).toEqual(['remove pg']);
    expect(journals()).toEqual([]);
  });

  test('is left alone when new data has taken the place of the old', async () => {
    await interrupted(async () => writeFileSync(join(path, 'new'), 'new'));
    await expect(open()).rejects.toMatchObject({ code: 'conflict' });
    const kept = await managed.find('pg');
    expect(readFileSync(join(kept?.mountpoint ?? '', 'file'), 'utf8')).toBe('precious');
    expect(readFileSync(join(path, 'new'), 'utf8')).toBe('new');
  });

  /** Leaves what a kill leaves while the data is a copy. */
  async function interruptedCopy(): Promise<void> {
    const { mountpoint } = await managed.create({ name: 'pg', driver: 'local', labels: {}, options: {} });
    writeFileSync(join(mountpoint, 'file'), 'copied');
    const journal = { name: 'pg', path, data: folderIdentity(path), isCopy: true };
    mkdirSync(join(folder, 'state/journal-foreign'), { recursive: true });
    writeFileSync(join(folder, 'state/journal-foreign/1.json'), JSON.stringify(journal));
  }

  test('is removed when it is a copy of data that still exists', async () => {
    await interruptedCopy();
    await using _trash = await open();
    expect(managed.calls).toEqual(['delete pg']);
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('precious');
  });

  test('is kept when another volume of that name exists by now', async () => {
    await interruptedCopy();
    await removeThere();
    mkdirSync(path, { recursive: true });
    await using _trash = await open();
    expect(managed.calls).toEqual(['remove pg']);
    expect(readdirSync(path)).toEqual([]);
  });

  test('is kept when an app wrote it, after the data had moved back', async () => {
    await interrupted(async () => undefined);
    const kept = await managed.find('pg');
    exchange(fromText(path), fromText(kept?.mountpoint ?? ''));
    writeFileSync(join(kept?.mountpoint ?? '', 'new'), 'by an app');
    await using _trash = await open();
    expect(managed.calls).toEqual(['remove pg']);
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('precious');
  });

  test.each(['', 'null', '{"name":"pg"}'])(
    'and is written down in a damaged file (%s) is told',
    async (text) => {
      await interruptedCopy();
      writeFileSync(join(folder, 'state/journal-foreign/1.json'), text);
      await expect(open()).rejects.toMatchObject({
        code: 'integrity',
        message: expect.stringContaining('1.json" is damaged') as string,
      });
      expect(await managed.find('pg')).toBeDefined();
      expect(readFileSync(join(path, 'file'), 'utf8')).toBe('precious');
    },
  );
});
