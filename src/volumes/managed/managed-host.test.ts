import { execFile } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import { longestOwnName } from '../../model/volume-name.ts';
import { describeHost } from '../../../test/suites/host-contract.ts';
import { memoryCatalog } from '../../../test/fixtures/memory-catalog.ts';
import { openWithDrivers } from '../../../test/fixtures/open-with-drivers.ts';
import { lockVolumeFolder } from './volume-lock.ts';

const run = promisify(execFile);
const isRoot = process.geteuid?.() === 0;

let stateDir: string;
let catalog: Catalog;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'embedded-'));
  catalog = memoryCatalog();
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const open = () => openWithDrivers({ stateDir, catalog });
const spec = (name: string) => ({ name, driver: 'local', labels: {}, options: {} });

describeHost('the embedded host', { open });

describe('the embedded host', () => {
  test('reports storage that several hosts share with the scope global', async () => {
    await using host = await open();
    const nfs = { type: 'nfs', device: ':/export', o: 'addr=127.0.0.1' };
    expect(await host.createVolume({ ...spec('nfs'), options: nfs })).toMatchObject({ scope: 'global' });
    expect(await host.createVolume(spec('plain'))).toMatchObject({ scope: 'local' });
    expect((await host.listVolumes()).map(({ scope }) => scope)).toEqual(['global', 'local']);
    // Its place is immutable, also for the cleanup after the test.
    await host.removeVolume('nfs');
  });

  test('the data of a new volume is a directory of mode 0755, whatever the mask', async () => {
    const before = process.umask(0o077);
    try {
      await using host = await open();
      await host.createVolume(spec('pg'));
      await using data = await host.openData('pg');
      expect(data).toMatchObject({ way: 'direct', root: join(stateDir, 'volumes/pg/_data') });
      expect((await stat(join(stateDir, 'volumes/pg/_data'))).mode & 0o7777).toBe(0o755);
    } finally {
      process.umask(before);
    }
  });

  test.each([
    [{ driver: 'flocker' }, 'unsupported', '"flocker"'],
    [{ options: { type: 'ntfs' } }, 'usage', '"ntfs"'],
    [{ options: { colour: 'red' } }, 'usage', '"colour"'],
    [{ name: '../x' }, 'usage', '"../x"'],
    [{ name: 'x' }, 'usage', 'too short'],
  ])('it refuses %j as %s', async (part, code, words) => {
    await using host = await open();
    const message = expect.stringContaining(words) as string;
    await expect(host.createVolume({ ...spec('pg'), ...part })).rejects.toMatchObject({ code, message });
    expect(await readdir(join(stateDir, 'volumes'))).toEqual([]);
  });

  test('a volume whose directory is gone can be unmounted', async () => {
    await using host = await open();
    await host.createVolume(spec('pg'));
    await host.managed.mount('pg', 'c1');
    await rm(join(stateDir, 'volumes/pg'), { recursive: true });
    await host.managed.unmount('pg', 'c1');
    expect(await host.managed.find('pg')).toMatchObject({ mountIds: [] });
  });

  test('a volume whose directory is gone is reported, and never recreated', async () => {
    await using host = await open();
    await host.createVolume(spec('pg'));
    await rename(join(stateDir, 'volumes/pg'), join(stateDir, 'elsewhere'));
    const damage = { code: 'integrity', message: expect.stringContaining('"pg"') as string };
    await expect(host.openData('pg')).rejects.toMatchObject(damage);
    await expect(host.createVolume(spec('pg'))).rejects.toMatchObject(damage);
    await using again = await open();
    await expect(again.openData('pg')).rejects.toMatchObject(damage);
    expect(await again.findVolume('pg')).toBeDefined();
    expect(await readdir(join(stateDir, 'volumes'))).toEqual([]);
    await again.removeVolume('pg');
    expect(await again.listVolumes()).toEqual([]);
  });

  test('data without a record is reported at every start, unless a volume is being made there', async () => {
    for (const name of ['pg', 'fresh', 'empty', 'lost+found'])
      await mkdir(join(stateDir, 'volumes', name, '_data'), { recursive: true });
    for (const name of ['pg', 'fresh'])
      await writeFile(join(stateDir, 'volumes', name, '_data/rows'), 'rows');
    await utimes(join(stateDir, 'volumes/pg'), 0, 0);
    await utimes(join(stateDir, 'volumes/empty'), 0, 0);
    await utimes(join(stateDir, 'volumes/lost+found'), 0, 0);
    const warnings: string[] = [];
    await using host = await openWithDrivers({
      stateDir,
      catalog,
      onWarning: (message) => warnings.push(message),
    });
    expect(await host.listVolumes()).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(/^The folder ".*\/volumes\/pg" holds data of a volume/)]);
    expect(await readdir(join(stateDir, 'volumes/pg/_data'))).toEqual(['rows']);
  });

  test('a new volume does not take over data without a record', async () => {
    await using host = await open();
    await mkdir(join(stateDir, 'volumes/pg/_data'), { recursive: true });
    await writeFile(join(stateDir, 'volumes/pg/_data/file'), 'whose?');
    await expect(host.createVolume(spec('pg'))).rejects.toMatchObject({
      code: 'exists',
      message: expect.stringContaining('"pg"') as string,
    });
    expect(await host.findVolume('pg')).toBeUndefined();
    expect(await readdir(join(stateDir, 'volumes/pg/_data'))).toEqual(['file']);
  });

  test('a symbolic link in place of the data is not followed', async () => {
    await using host = await open();
    await host.createVolume(spec('pg'));
    await rm(join(stateDir, 'volumes/pg/_data'), { recursive: true });
    await symlink('/etc', join(stateDir, 'volumes/pg/_data'));
    await expect(host.openData('pg')).rejects.toMatchObject({ code: 'integrity' });
  });

  test('removing a volume deletes hostile names and deep folders, and follows no link out of it', async () => {
    await using host = await open();
    await host.createVolume(spec('pg'));
    const data = join(stateDir, 'volumes/pg/_data');
    const outside = join(stateDir, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'precious'), 'kept');
    await symlink(outside, join(data, 'link'));
    await writeFile(Buffer.concat([Buffer.from(`${data}/`), Buffer.from([0x62, 0xff, 0x0a, 0x2d])]), '');
    await mkdir(join(data, 'closed/within'), { recursive: true });
    await chmod(join(data, 'closed'), isRoot ? 0 : 0o700);
    await makeDeepFolder(data, 60);
    await host.removeVolume('pg');
    expect(await readdir(join(stateDir, 'volumes'))).toEqual([]);
    expect(await readdir(join(stateDir, 'trash'))).toEqual([]);
    expect(await readdir(outside)).toEqual(['precious']);
  });

  test.runIf(isRoot)('a volume with a mount inside is not removed', async () => {
    await using host = await open();
    await host.createVolume(spec('pg'));
    const mountpoint = join(stateDir, 'volumes/pg/_data/a b');
    await mkdir(mountpoint);
    await run('mount', ['-t', 'tmpfs', 'none', mountpoint]);
    try {
      await writeFile(join(mountpoint, 'live'), '1');
      await expect(host.removeVolume('pg')).rejects.toMatchObject({
        code: 'in-use',
        message: expect.stringContaining(`"${mountpoint}"`) as string,
      });
      expect(await readdir(mountpoint)).toEqual(['live']);
      expect(await host.findVolume('pg')).toBeDefined();
    } finally {
      await run('umount', [mountpoint]);
    }
    await host.removeVolume('pg');
    expect(await host.findVolume('pg')).toBeUndefined();
  });
});

describe('an embedded host that was interrupted', () => {
  test('while it removed a volume finishes that at the next start', async () => {
    {
      await using host = await open();
      await host.createVolume(spec('pg'));
      await host.createVolume(spec('web'));
    }
    await rename(join(stateDir, 'volumes/pg'), join(stateDir, 'trash/pg.0123456789abcdef.removing'));
    await using host = await open();
    expect((await host.listVolumes()).map((volume) => volume.name)).toEqual(['web']);
    expect(await readdir(join(stateDir, 'trash'))).toEqual([]);
  });

  test('while it deleted the rest of a volume leaves a new one of that name alone', async () => {
    {
      await using host = await open();
      await host.createVolume(spec('pg'));
    }
    await mkdir(join(stateDir, 'trash/pg.0123456789abcdef.removing/_data'), { recursive: true });
    await using host = await open();
    expect((await host.listVolumes()).map((volume) => volume.name)).toEqual(['pg']);
    expect((await lstat(join(stateDir, 'volumes/pg/_data'))).isDirectory()).toBe(true);
    expect(await readdir(join(stateDir, 'trash'))).toEqual([]);
  });

  test.each(['', '{"name":"pg","dri'])(
    'by a power cut while it removed a volume, whose mark is now %j, has the volume back',
    async (mark) => {
      {
        await using host = await open();
        await host.createVolume(spec('pg'));
        await writeFile(join(stateDir, 'volumes/pg/_data/file'), 'data');
      }
      await rename(join(stateDir, 'volumes/pg'), join(stateDir, 'trash/pg.0123456789abcdef'));
      await writeFile(join(stateDir, 'trash/pg.0123456789abcdef/trashed.json'), mark);
      await using host = await open();
      await using data = await host.openData('pg');
      expect(await readdir(data.way === 'direct' ? data.root : '')).toEqual(['file']);
      expect(await readdir(join(stateDir, 'volumes/pg'))).toEqual(['_data']);
      expect(await readdir(join(stateDir, 'trash'))).toEqual([]);
    },
  );

  test('leaves alone an unmarked folder in the trash when a volume of that name exists, or no record', async () => {
    {
      await using host = await open();
      await host.createVolume(spec('pg'));
    }
    for (const name of ['pg', 'web'])
      await mkdir(join(stateDir, `trash/${name}.0123456789abcdef/_data`), { recursive: true });
    await using host = await open();
    expect((await host.listVolumes()).map(({ name }) => name)).toEqual(['pg']);
    expect((await readdir(join(stateDir, 'trash'))).length).toBe(2);
  });

  test('while it created a volume undoes that at the next start, unless it is recent or holds data', async () => {
    for (const name of ['old-empty', 'old-full', 'new-empty'])
      await mkdir(join(stateDir, 'volumes', name, '_data'), { recursive: true });
    await writeFile(join(stateDir, 'volumes/old-full/_data/file'), 'data');
    const hourAgo = Date.now() / 1000 - 3600;
    for (const name of ['old-empty', 'old-full'])
      await utimes(join(stateDir, 'volumes', name), hourAgo, hourAgo);
    await using host = await open();
    expect(await host.listVolumes()).toEqual([]);
    expect((await readdir(join(stateDir, 'volumes'))).toSorted()).toEqual(['new-empty', 'old-full']);
  });

  test('leaves alone the empty folder of a volume that another process is renaming', async () => {
    {
      await using host = await open();
      await host.createVolume(spec('pg'));
    }
    catalog.volumes.beginRename('pg', 'db');
    await rename(join(stateDir, 'volumes/pg'), join(stateDir, 'volumes/db'));
    await makeOld('db');
    {
      // The renaming process holds this lock.
      using _lock = await lockVolumeFolder(join(stateDir, 'volumes/db'), { name: 'pg', action: 'rename' });
      await using _host = await open();
      expect(await readdir(join(stateDir, 'volumes/db'))).toEqual(['_data']);
    }
    await using host = await open();
    await using data = await host.openData('db');
    expect(data).toMatchObject({ root: join(stateDir, 'volumes/db/_data') });
  });

  test('leaves alone the empty folder of a volume that another process is restoring from the trash', async () => {
    {
      await using host = await open();
      await host.createVolume(spec('pg'));
      await host.managed.remove('pg');
    }
    const [entry = ''] = await readdir(join(stateDir, 'trash'));
    await rename(join(stateDir, 'trash', entry), join(stateDir, 'volumes/pg'));
    await makeOld('pg');
    {
      using _lock = await lockVolumeFolder(join(stateDir, 'volumes/pg'), { name: 'pg', action: 'restore' });
      await using _host = await open();
      expect((await readdir(join(stateDir, 'volumes/pg'))).toSorted()).toEqual(['_data', 'trashed.json']);
    }
    // After a kill, the restore is finished.
    await using host = await open();
    await using data = await host.openData('pg');
    expect(data).toMatchObject({ root: join(stateDir, 'volumes/pg/_data') });
  });

  test('while it created a volume can create it again', async () => {
    await mkdir(join(stateDir, 'volumes/pg'), { recursive: true });
    await using host = await open();
    await host.createVolume(spec('pg'));
    await using data = await host.openData('pg');
    expect(await readdir(data.way === 'direct' ? data.root : '')).toEqual([]);
  });
});

test('the wait to label a volume that another process holds can be cancelled', async () => {
  await using host = await open();
  await host.managed.create(spec('pg'));
  using lock = await lockVolumeFolder(join(stateDir, 'volumes/pg'), { name: 'pg', action: 'mount' });
  expect(lock).toBeDefined();
  const labelled = host.managed.label('pg', { env: 'prod' }, { signal: AbortSignal.timeout(50) });
  await expect(labelled).rejects.toMatchObject({ code: 'cancelled' });
  expect(await host.managed.find('pg')).toMatchObject({ labels: {} });
});

test('the longest name can be removed, restored and deleted, and a longer one is refused at once', async () => {
  await using host = await open();
  const { managed } = host;
  const name = 'n'.repeat(longestOwnName);
  for (const permanent of [false, true]) {
    await managed.create(spec(name));
    await managed.remove(name, { permanent });
  }
  await managed.restoreTrash(name);
  await managed.remove(name);
  await managed.emptyTrash([name]);
  expect(await readdir(join(stateDir, 'trash'))).toEqual([]);
  await expect(managed.create(spec(`${name}n`))).rejects.toMatchObject({ code: 'usage' });
  await managed.create(spec('short'));
  await expect(managed.rename('short', `${name}n`)).rejects.toMatchObject({ code: 'usage' });
  expect(await readdir(join(stateDir, 'volumes'))).toEqual(['short']);
});

/** Sets all mtimes of the volume's folders an hour back. */
async function makeOld(name: string): Promise<void> {
  const hourAgo = Date.now() / 1000 - 3600;
  for (const path of [`${name}/_data`, name]) await utimes(join(stateDir, 'volumes', path), hourAgo, hourAgo);
}

/** Deeper than a path can be long, so made step by step from within. */
async function makeDeepFolder(root: string, levels: number): Promise<void> {
  const name = 'd'.repeat(200);
  await run('sh', [
    '-c',
    `cd "$1" && i=0 && while [ $i -lt ${levels} ]; do mkdir ${name} && cd -P ${name} || exit 1; i=$((i+1)); done; : > end`,
    'sh',
    root,
  ]);
}
