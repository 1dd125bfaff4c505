import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import type { Driver, Drivers } from '../../src/drivers/driver.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../src/volumes/managed/managed-host.ts';
import { lockVolumeFolder } from '../../src/volumes/managed/volume-lock.ts';
import type { ManagedVolumes, VolumeEvent } from '../../src/volumes/managed/managed-volumes.ts';
import { mountAt, readMounts } from '../../src/lib/mountinfo.ts';
import { fromText } from '../../src/model/byte-string.ts';

let stateDir: string;
let catalog: Catalog;
let managed: ManagedVolumes;

const real = (): Drivers => openDrivers({ stateDir, secret: async () => Buffer.from('secret') });

/** Simulates a restart of the program. */
const reopen = async (drivers: Drivers = real(), trashKeepMs?: number): Promise<ManagedVolumes> => {
  managed = (await openManagedHost({ stateDir, catalog, drivers, trashKeepMs })).managed;
  return managed;
};

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'managed-'));
  catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  await reopen();
});

afterEach(async () => {
  for (const mount of (await readMounts()).toReversed())
    if (mount.path.startsWith(stateDir)) execFileSync('umount', ['-l', mount.path]);
  catalog[Symbol.dispose]();
  execFileSync('chattr', ['-R', '-f', '-i', stateDir], { stdio: 'ignore' });
  await rm(stateDir, { recursive: true, force: true });
});

const spec = (name: string, options: Record<string, string> = {}, driver = '') => ({
  name,
  driver,
  labels: {},
  options,
});
const sized = { size: '16m' };
const dataOf = (name: string): string => join(stateDir, 'volumes', name, '_data');
const isMounted = async (name: string): Promise<boolean> =>
  mountAt(await readMounts(), fromText(dataOf(name))) !== undefined;

describe('mounts of a volume', () => {
  test('are counted by ids: an id may be repeated, and the last release unmounts', async () => {
    await managed.create(spec('pg', sized));
    expect(await managed.mount('pg', 'one')).toBe(dataOf('pg'));
    expect(await managed.mount('pg', 'one')).toBe(dataOf('pg'));
    await managed.mount('pg', 'two');
    expect(await managed.find('pg')).toMatchObject({ mountIds: ['one', 'two'], isMounted: true });
    await managed.unmount('pg', 'one');
    await managed.unmount('pg', 'one');
    await managed.unmount('pg', 'never-there');
    expect(await isMounted('pg')).toBe(true);
    await managed.unmount('pg', 'two');
    expect(await isMounted('pg')).toBe(false);
    await managed.unmount('gone', 'one');
  });

  test('end with the last id though a program is in the volume for a moment longer', async () => {
    await managed.create(spec('pg', sized));
    await managed.mount('pg', 'one');
    const user = spawn('sleep', ['0.3'], { cwd: dataOf('pg'), stdio: 'ignore' });
    await once(user, 'spawn');
    await managed.unmount('pg', 'one');
    expect(await isMounted('pg')).toBe(false);
  });

  test('by many at once end in one mount, and in none when all are released', async () => {
    await managed.create(spec('pg', sized));
    const ids = Array.from({ length: 12 }, (_, index) => `id-${index}`);
    await Promise.all(ids.map((id) => managed.mount('pg', id)));
    const found = (await readMounts()).filter((mount) => mount.path === dataOf('pg'));
    expect(found).toHaveLength(1);
    expect((await managed.find('pg'))?.mountIds.toSorted()).toEqual(ids.toSorted());
    await Promise.all(ids.map((id) => managed.unmount('pg', id)));
    expect(await isMounted('pg')).toBe(false);
  });

  test('no process can write where nothing is mounted', async () => {
    await managed.create(spec('pg', sized));
    await expect(writeFile(join(dataOf('pg'), 'file'), 'lost')).rejects.toMatchObject({ code: 'EPERM' });
    await managed.mount('pg', 'one');
    await writeFile(join(dataOf('pg'), 'file'), 'kept');
    await managed.unmount('pg', 'one');
    expect(await readdir(dataOf('pg'))).toEqual([]);
  });

  test('keep a volume from being removed, renamed and shrunk', async () => {
    await managed.create(spec('pg', sized));
    await managed.mount('pg', 'container-1');
    await expect(managed.remove('pg')).rejects.toMatchObject({
      code: 'in-use',
      message: 'Cannot remove volume "pg": it is mounted for "container-1"',
    });
    await expect(managed.rename('pg', 'db')).rejects.toMatchObject({ code: 'in-use' });
    await expect(managed.resize('pg', 12 << 20)).rejects.toMatchObject({ code: 'in-use' });
  });

  test('that hang do not block other volumes, and end by themselves', async () => {
    const never = Promise.withResolvers<void>();
    const hanging = { ...(await real().get('local')), mount: () => never.promise } satisfies Driver;
    await managed.create(spec('slow', sized));
    await managed.create(spec('quick', { type: 'tmpfs' }));
    const drivers: Drivers = { get: async (kind) => (kind === 'local' ? hanging : await real().get(kind)) };
    await reopen(drivers);
    const slow = managed.mount('slow', 'one');
    slow.catch(() => undefined);
    const before = performance.now();
    expect((await managed.list()).map(({ name }) => name)).toEqual(['quick', 'slow']);
    expect(await managed.find('slow')).toMatchObject({ isMounted: false });
    await managed.mount('quick', 'one');
    await managed.unmount('quick', 'one');
    expect(performance.now() - before).toBeLessThan(30_000);
    await expect(managed.unmount('slow', 'two', { signal: AbortSignal.timeout(200) })).rejects.toMatchObject({
      code: 'cancelled',
    });
    never.reject(new Error('at last'));
    await expect(slow).rejects.toThrow('at last');
  });
});

test('a process that has ended holds nothing, even without a cleanup since', async () => {
  await managed.create(spec('pg', sized));
  await managed.mount('pg', 'process:4194304:1:abcdef');
  expect(await managed.find('pg')).toMatchObject({ mountIds: [], isMounted: true });
  expect(await managed.list()).toMatchObject([{ mountIds: [] }]);
  await managed.remove('pg');
});

describe('a start', () => {
  test('leaves mounted what others hold, and counts it as before', async () => {
    await managed.create(spec('pg', sized));
    await managed.mount('pg', 'container-1');
    await writeFile(join(dataOf('pg'), 'file'), 'content');
    await reopen();
    await managed.reconcile();
    expect(await isMounted('pg')).toBe(true);
    expect((await managed.find('pg'))?.mountIds).toEqual(['container-1']);
    await managed.unmount('pg', 'container-1');
    expect(await isMounted('pg')).toBe(false);
  });

  test('unmounts volumes without a hold, and leaves those in use', async () => {
    await managed.create(spec('idle', sized));
    await managed.create(spec('busy', sized));
    for (const name of ['idle', 'busy']) {
      await managed.mount(name, 'container-1');
      catalog.volumes.release(name, 'container-1');
    }
    await writeFile(join(dataOf('busy'), 'file'), 'content');
    const user = spawn('sleep', ['60'], { cwd: dataOf('busy'), stdio: 'ignore' });
    await once(user, 'spawn');
    try {
      expect(await managed.reconcile()).toMatchObject({ unmounted: ['idle'] });
      expect([await isMounted('idle'), await isMounted('busy')]).toEqual([false, true]);
    } finally {
      user.kill('SIGKILL');
      await once(user, 'exit');
    }
  });

  test('removes a mount without a hold once its last user has left', async () => {
    await managed.create(spec('pg', sized));
    await managed.mount('pg', 'container-1');
    catalog.volumes.release('pg', 'container-1');
    const user = spawn('sleep', ['0.4'], { cwd: dataOf('pg'), stdio: 'ignore' });
    await once(user, 'spawn');
    expect(await managed.reconcile()).toMatchObject({ unmounted: ['pg'] });
    expect(await isMounted('pg')).toBe(false);
  });

  test('drops ids of before the last boot, of processes that ended, and of containers that are gone', async () => {
    await managed.create(spec('pg', sized));
    await managed.mount('pg', 'alive');
    const heldAt = new Date().toISOString();
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    catalog.volumes.hold({ volume: 'pg', id: 'before', boot: 'another-boot', heldAt });
    catalog.volumes.hold({ volume: 'pg', id: 'process:999999999:1:0a', boot, heldAt });
    catalog.volumes.hold({ volume: 'pg', id: 'gone', boot, heldAt });
    catalog.volumes.hold({ volume: 'no-such-volume', id: 'x', boot, heldAt });
    const { dropped } = await managed.reconcile({ isAlive: (id) => id === 'alive' });
    expect(dropped.map(({ id }) => id).toSorted()).toEqual(['before', 'gone', 'process:999999999:1:0a', 'x']);
    expect((await managed.find('pg'))?.mountIds).toEqual(['alive']);
    expect(await isMounted('pg')).toBe(true);
  });

  test('mounts held volumes again that others have unmounted', async () => {
    await managed.create(spec('pg', sized));
    await managed.mount('pg', 'container-1');
    execFileSync('umount', [dataOf('pg')]);
    expect(await managed.reconcile()).toMatchObject({ remounted: ['pg'] });
    expect(await isMounted('pg')).toBe(true);
  });

  test('after a kill in the middle of mounts and unmounts finds counts and mounts that agree', async () => {
    await managed.create(spec('pg', sized));
    const program = `
      import { openSqliteCatalog } from '${process.cwd()}/src/catalog/sqlite-catalog.ts';
      import { openDrivers } from '${process.cwd()}/src/drivers/open-drivers.ts';
      import { openManagedHost } from '${process.cwd()}/src/volumes/managed/managed-host.ts';
      const stateDir = ${JSON.stringify(stateDir)};
      const catalog = openSqliteCatalog(stateDir + '/catalog.db');
      const drivers = openDrivers({ stateDir, secret: async () => new Uint8Array() });
      const { managed } = await openManagedHost({ stateDir, catalog, drivers });
      console.log('ready');
      for (;;) { await managed.mount('pg', 'container-1'); await managed.unmount('pg', 'container-1'); }
    `;
    const script = join(stateDir, 'worker.ts');
    await writeFile(script, program);
    for (const afterMs of [5, 30, 80, 150]) {
      const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill('SIGKILL');
      await once(child, 'exit');
      // The mount program that it had started continues without it.
      await expect.poll(() => programsAtWork(stateDir)).toEqual([]);
      await reopen();
      await managed.reconcile();
      const held = (await managed.find('pg'))?.mountIds ?? [];
      expect(await isMounted('pg')).toBe(held.length > 0);
      await managed.mount('pg', 'container-2');
      await writeFile(join(dataOf('pg'), 'file'), 'content');
      await managed.unmount('pg', 'container-2');
      await managed.unmount('pg', 'container-1');
      expect(await isMounted('pg')).toBe(false);
    }
  });
});

/** Command lines of other processes that name the folder. */
function programsAtWork(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(folder));
}

describe('the trash', () => {
  test('keeps a volume with data, options and labels, and gives it back under its name or another', async () => {
    await managed.create({ ...spec('pg', sized), labels: { tier: 'db' } });
    await managed.mount('pg', 'one');
    await writeFile(join(dataOf('pg'), 'file'), 'content');
    await managed.unmount('pg', 'one');
    await managed.remove('pg');
    expect(await managed.find('pg')).toBeUndefined();
    expect(await managed.listTrash()).toMatchObject([
      { name: 'pg', labels: { tier: 'db' }, isRecordOnly: false },
    ]);
    await managed.create(spec('pg'));
    await expect(managed.restoreTrash('pg')).rejects.toMatchObject({ code: 'exists' });
    expect(await managed.restoreTrash('pg', { to: 'db' })).toMatchObject({ name: 'db', options: sized });
    await managed.mount('db', 'one');
    expect(await readFile(join(dataOf('db'), 'file'), 'utf8')).toBe('content');
    await managed.unmount('db', 'one');
    expect(await managed.listTrash()).toEqual([]);
  });

  test('gives nothing back that is being deleted for good', async () => {
    const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const local = await real().get('local');
    const remove: Driver['remove'] = async () => {
      begun.resolve();
      await go.promise;
    };
    await managed.create(spec('pg', sized));
    await managed.remove('pg');
    await reopen({ get: async () => ({ ...local, remove }) });
    const emptied = managed.emptyTrash('all');
    await begun.promise;
    const restored = managed.restoreTrash('pg');
    restored.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await managed.find('pg')).toBeUndefined();
    go.resolve();
    expect((await emptied).deleted).toMatchObject([{ name: 'pg' }]);
    await expect(restored).rejects.toMatchObject({ code: 'not-found' });
    expect(await readdir(join(stateDir, 'trash'))).toEqual([]);
  });

  test('deletes nothing twice, and nothing that was restored meanwhile', async () => {
    for (const name of ['pg', 'db']) {
      await managed.create(spec(name, sized));
      await managed.remove(name);
    }
    const [one, other] = await Promise.all([managed.emptyTrash(['pg', 'pg']), managed.emptyTrash(['pg'])]);
    expect([...one.deleted, ...other.deleted]).toMatchObject([{ name: 'pg' }]);
    expect(await managed.restoreTrash('db')).toMatchObject({ name: 'db' });
  });

  test('releases expired holds, and no others', async () => {
    await reopen(real(), 3_600_000);
    await managed.create(spec('later'));
    await managed.remove('later');
    await reopen(real(), 1);
    await managed.create(spec('soon', sized));
    await managed.remove('soon');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await managed.emptyTrash('expired')).deleted).toMatchObject([{ name: 'soon' }]);
    expect(await managed.listTrash()).toMatchObject([{ name: 'later' }]);
    await managed.emptyTrash('all');
    expect(await readdir(join(stateDir, 'trash'))).toEqual([]);
  });

  test('never takes data that lies elsewhere along', async () => {
    const elsewhere = join(stateDir, 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, 'file'), 'precious');
    await managed.create(spec('shared', { type: 'none', o: 'bind', device: elsewhere }));
    await managed.mount('shared', 'one');
    await managed.unmount('shared', 'one');
    await managed.remove('shared');
    expect(await managed.listTrash()).toMatchObject([{ name: 'shared', isRecordOnly: true }]);
    await managed.emptyTrash('all');
    expect(await readFile(join(elsewhere, 'file'), 'utf8')).toBe('precious');
  });

  test('is not reached by a protected volume', async () => {
    await managed.create(spec('pg'));
    await managed.protect('pg', true);
    await expect(managed.remove('pg', { permanent: true })).rejects.toMatchObject({ code: 'locked' });
    await managed.rename('pg', 'db');
    await expect(managed.remove('db')).rejects.toMatchObject({ code: 'locked' });
    await managed.protect('db', false);
    await managed.remove('db');
  });
});

describe('an interrupted operation', () => {
  test('a create that was killed at its very end leaves nothing that would undo it later', async () => {
    await managed.create(spec('pg', sized));
    const [record] = catalog.listManagedVolumes();
    const mark = join(stateDir, 'volumes/pg/creating.json');
    await writeFile(mark, JSON.stringify(record));
    await reopen();
    await managed.reconcile();
    await expect.poll(() => existsSync(mark)).toBe(false);
    catalog.removeManagedVolume('pg');
    await expect(managed.create(spec('pg', sized))).rejects.toMatchObject({ code: 'exists' });
    expect(existsSync(join(stateDir, 'volumes/pg/image'))).toBe(true);
  });

  test('a rename whose folder has moved is brought to its end', async () => {
    await managed.create(spec('pg'));
    await writeFile(join(dataOf('pg'), 'file'), 'content');
    catalog.volumes.beginRename('pg', 'db');
    const { rename } = await import('node:fs/promises');
    await rename(join(stateDir, 'volumes/pg'), join(stateDir, 'volumes/db'));
    await reopen();
    expect((await managed.list()).map(({ name }) => name)).toEqual(['db']);
    expect(await readFile(join(dataOf('db'), 'file'), 'utf8')).toBe('content');
  });

  test('a rename that is under way keeps its record, whatever of the old name is in the trash', async () => {
    await managed.create(spec('pg'));
    await managed.remove('pg');
    await managed.create(spec('pg'));
    catalog.volumes.beginRename('pg', 'db');
    const { rename } = await import('node:fs/promises');
    await rename(join(stateDir, 'volumes/pg'), join(stateDir, 'volumes/db'));
    {
      // Held as by a process that renames the volume.
      using _lock = await lockVolumeFolder(join(stateDir, 'volumes/db'), { name: 'pg', action: 'rename' });
      await reopen();
      await expect(managed.remove('pg')).rejects.toMatchObject({ code: 'locked' });
    }
    await reopen();
    expect((await managed.list()).map(({ name }) => name)).toEqual(['db']);
  });

  test('a rename whose folder has not moved has not happened', async () => {
    await managed.create(spec('pg'));
    catalog.volumes.beginRename('pg', 'db');
    await reopen();
    expect((await managed.list()).map(({ name }) => name)).toEqual(['pg']);
    await managed.create(spec('db'));
  });

  test('a creation leaves nothing, and can be done again', async () => {
    const folder = join(stateDir, 'volumes/pg');
    await mkdir(join(folder, '_data'), { recursive: true });
    await writeFile(join(folder, 'image'), 'half');
    await writeFile(
      join(folder, 'creating.json'),
      JSON.stringify({ ...spec('pg', sized, 'local'), createdAt: '2026-01-01T00:00:00Z', anonymous: false }),
    );
    await reopen();
    await expect(access(folder)).rejects.toMatchObject({ code: 'ENOENT' });
    await managed.create(spec('pg', sized));
    await managed.mount('pg', 'one');
  });

  test('a truncated mark is no reason to delete the data beside it', async () => {
    const folder = join(stateDir, 'volumes/pg');
    await mkdir(join(folder, '_data'), { recursive: true });
    await writeFile(join(folder, 'image'), 'whose?');
    await writeFile(join(folder, 'creating.json'), '{"name":"p');
    await reopen();
    expect(await readFile(join(folder, 'image'), 'utf8')).toBe('whose?');
    await expect(managed.create(spec('pg', sized))).rejects.toMatchObject({ code: 'exists' });
  });

  test('a removal whose folder is in the trash already has happened', async () => {
    const { createdAt = '' } = await managed.create(spec('pg', sized));
    await managed.remove('pg');
    catalog.addManagedVolume({ ...spec('pg', sized, 'local'), createdAt, anonymous: false });
    await reopen();
    expect(await managed.list()).toEqual([]);
    expect(await managed.listTrash()).toMatchObject([{ name: 'pg' }]);
  });

  test('a return from the trash whose folder is back gets its record', async () => {
    await managed.create(spec('pg', sized));
    await managed.remove('pg');
    const [entry = ''] = await readdir(join(stateDir, 'trash'));
    const { rename } = await import('node:fs/promises');
    await rename(join(stateDir, 'trash', entry), join(stateDir, 'volumes/pg'));
    await reopen();
    expect(await managed.find('pg')).toMatchObject({ options: sized });
    expect(await readdir(join(stateDir, 'volumes/pg'))).not.toContain('trashed.json');
  });
});

test('an existing volume is returned when driver, options and labels agree, in any spelling', async () => {
  await managed.create(spec('pg', { type: 'none', o: 'bind', device: stateDir }));
  await managed.create(spec('pg', { type: 'none', o: 'bind', device: `${stateDir}/.` }, 'holdfast'));
  await managed.create(spec('pg'));
  await expect(managed.create(spec('pg', { type: 'tmpfs' }))).rejects.toMatchObject({ code: 'conflict' });
});

test('labels change, and all listeners are notified', async () => {
  const events: VolumeEvent[] = [];
  const end = managed.subscribe((event) => events.push(event));
  await managed.create({ ...spec('pg'), labels: { a: '1', b: '2' } });
  expect(await managed.label('pg', { a: undefined, c: '3' })).toMatchObject({ labels: { b: '2', c: '3' } });
  await managed.mount('pg', 'one');
  await managed.unmount('pg', 'one');
  await managed.rename('pg', 'db');
  await managed.remove('db');
  end();
  await managed.create(spec('unheard'));
  expect(events.map(({ kind }) => kind)).toEqual([
    'create',
    'label',
    'mount',
    'unmount',
    'rename',
    'destroy',
  ]);
});

test('owner and mode change, mounted or not', async () => {
  await managed.create(spec('pg', sized));
  await managed.own('pg', { owner: '999', group: '998', mode: '0700' });
  await managed.mount('pg', 'one');
  expect(await stat(dataOf('pg'))).toMatchObject({ uid: 999, gid: 998, mode: 0o040700 });
  await expect(managed.own('pg', { owner: 'nobody-knows-me' })).rejects.toMatchObject({ code: 'usage' });
});

test('an image that is cut short is reported by its volume alone, and nothing is mounted', async () => {
  await managed.create(spec('pg', sized));
  await managed.create(spec('web', sized));
  await truncate(join(stateDir, 'volumes/pg/image'), 1000);
  await expect(managed.mount('pg', 'one')).rejects.toMatchObject({
    message: expect.stringContaining('"pg"') as string,
  });
  expect(await managed.find('pg')).toMatchObject({ isMounted: false, mountIds: [] });
  await managed.mount('web', 'one');
});

test('a kernel without dm-crypt is reported, and no volume stays behind', async () => {
  if ((await access('/dev/mapper/control').catch(() => 'none')) === undefined) return;
  await expect(managed.create(spec('secret', { type: 'luks', size: '64m' }))).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('no dm-crypt') as string,
    hint: expect.stringContaining('gocryptfs') as string,
  });
  expect(await managed.list()).toEqual([]);
  expect(await readdir(join(stateDir, 'volumes'))).toEqual([]);
});
