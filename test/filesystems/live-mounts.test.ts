import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../src/volumes/managed/managed-host.ts';
import type { ManagedVolumes } from '../../src/volumes/managed/managed-volumes.ts';
import { readMounts } from '../../src/lib/mountinfo.ts';

let stateDir: string;
let catalog: Catalog;
let managed: ManagedVolumes;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'live-'));
  catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  const drivers = openDrivers({ stateDir, secret: async () => Buffer.from('secret') });
  managed = (await openManagedHost({ stateDir, catalog, drivers })).managed;
});
afterEach(async () => {
  for (const mount of (await readMounts()).toReversed())
    if (mount.path.startsWith(stateDir)) execFileSync('umount', ['-l', mount.path]);
  catalog[Symbol.dispose]();
  execFileSync('chattr', ['-R', '-f', '-i', stateDir], { stdio: 'ignore' });
  await rm(stateDir, { recursive: true, force: true });
});

const create = (options: Record<string, string> = {}) =>
  managed.create({ name: 'pg', driver: '', labels: {}, options });

describe('a mount inside of a volume', () => {
  /** On the same file system, so that only the list of mounts shows it. */
  let elsewhere: string;
  let place: string;
  beforeEach(async () => {
    const { mountpoint } = await create();
    elsewhere = join(stateDir, 'elsewhere');
    place = join(mountpoint, 'sub');
    await mkdir(elsewhere);
    await mkdir(place);
    await writeFile(join(elsewhere, 'file'), 'precious');
    execFileSync('mount', ['--bind', elsewhere, place]);
  });

  test('is not deleted with it: the removal is refused until it is unmounted', async () => {
    await expect(managed.remove('pg', { permanent: true })).rejects.toMatchObject({ code: 'in-use' });
    expect(await readFile(join(elsewhere, 'file'), 'utf8')).toBe('precious');
    execFileSync('umount', [place]);
    await managed.remove('pg', { permanent: true });
    expect(await managed.find('pg')).toBeUndefined();
    expect(await readFile(join(elsewhere, 'file'), 'utf8')).toBe('precious');
  });

  test('is not deleted from the trash either', async () => {
    // The mount may move with the volume or be a reason to refuse: nothing may be deleted through it.
    await managed.remove('pg').catch(() => undefined);
    await managed.emptyTrash('all').catch(() => undefined);
    expect(await readFile(join(elsewhere, 'file'), 'utf8')).toBe('precious');
  });
});

test('a mount whose program has ended is replaced for the next holder', async () => {
  const { mountpoint } = await create({ type: 'gocryptfs' });
  await managed.mount('pg', 'one');
  await writeFile(join(mountpoint, 'file'), 'kept');
  endProgramOf(mountpoint);
  await expect(readFile(join(mountpoint, 'file'))).rejects.toThrow();
  expect(await managed.mount('pg', 'two')).toBe(mountpoint);
  expect(await readFile(join(mountpoint, 'file'), 'utf8')).toBe('kept');
  await managed.unmount('pg', 'one');
  await managed.unmount('pg', 'two');
  expect(await managed.find('pg')).toMatchObject({ isMounted: false });
});

function endProgramOf(mountpoint: string): void {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const serving = pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mountpoint);
    } catch {
      return false;
    }
  });
  for (const pid of serving) process.kill(Number(pid), 'SIGKILL');
  expect(serving).not.toEqual([]);
}
