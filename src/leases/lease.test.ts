import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../catalog/catalog.ts';
import { AppError } from '../model/errors.ts';
import { ClaimingMachine } from '../../test/fixtures/claiming-machine.ts';
import {
  claimOf,
  type VolumeAccess,
  type LeasesRequest,
  openLeaseScope,
  takeLease,
  takeLeases,
} from './lease.ts';
import { someVolume } from '../../test/fixtures/some-volume.ts';
import { stillWorld } from '../../test/fixtures/still-world.ts';
import { volumeRecord } from '../../test/fixtures/volume-record.ts';

let stateDir: string;
beforeEach(() => void (stateDir = mkdtempSync(join(tmpdir(), 'holdfast-claims-'))));
afterEach(() => rmSync(stateDir, { recursive: true }));

/** A Holdfast with a state folder of its own. */
async function accessOn(machine: ClaimingMachine, name: string): Promise<VolumeAccess> {
  const { access, stateDir: unused } = await stillWorld();
  rmSync(unused, { recursive: true });
  return await machine.around({ ...access, stateDir: join(stateDir, name) });
}

/** A Holdfast whose engine has "pg" by our plugin, as the managed host has it. */
async function withPlugin(more: Partial<Catalog>): Promise<{ by: VolumeAccess; catalog: Catalog }> {
  const access = await accessOn(new ClaimingMachine(), 'one');
  mkdirSync(access.stateDir);
  const catalog = { ...(await access.catalog()), findManagedVolume: () => volumeRecord, ...more };
  const found = someVolume('pg', { driver: 'holdfast' });
  const host = { ...(await access.host()), findVolume: async () => found };
  return { catalog, by: { ...access, catalog: async () => catalog, host: async () => host } };
}

async function take(access: VolumeAccess, request: LeasesRequest): Promise<AsyncDisposable> {
  return await takeLeases(await openLeaseScope(access), request, {});
}

test('claimOf() is for volumes of the host that answers', async () => {
  const access = await accessOn(new ClaimingMachine(), 'one');
  const claimed = async (place: Parameters<typeof claimOf>[1]): Promise<string | undefined> =>
    (await claimOf(access, place, {}))?.what;
  expect(await claimed({ kind: 'volume', name: 'pg' })).toBe('volume pg');
  expect(await claimed({ kind: 'volume', name: 'pg', hostIdentity: 'engine' })).toBe('volume pg');
  expect(await claimed({ kind: 'volume', name: 'pg', hostIdentity: 'elsewhere' })).toBeUndefined();
  expect(await claimed({ kind: 'path', name: '/srv/pg', hostIdentity: 'engine' })).toBeUndefined();
});

test.each(['unavailable', 'denied', 'failed'] as const)(
  'claimOf() where the host is %s: without an answer there is no other user to keep away',
  async (code) => {
    const error = new AppError(code, 'No host');
    const access = { host: () => Promise.reject(error) };
    const claim = claimOf(access, { kind: 'volume', name: 'pg' }, {});
    await (code === 'failed' ? expect(claim).rejects.toBe(error) : expect(claim).resolves.toBeUndefined());
  },
);

test('takeLeases() takes all, or none and names the holder, across state folders too', async () => {
  const machine = new ClaimingMachine();
  const [one, other] = [await accessOn(machine, 'one'), await accessOn(machine, 'other')];
  const place = (name: string) => ({ kind: 'volume' as const, name, identity: `of ${name}` });
  {
    await using _pg = await take(one, { places: [place('pg')], work: 'back up' });
    const request = { places: [place('files'), place('pg')], work: 'undo the restore of' } as const;
    await expect(take(other, request)).rejects.toMatchObject({
      code: 'locked',
      message: 'Cannot undo the restore of "pg": process 7 is at work on it',
      detail: expect.stringContaining('another state folder') as string,
    });
    expect(machine.taken).toEqual(['data of volume pg', 'volume pg']);
    await using _files = await take(other, { places: [place('files')], work: 'restore' });
    const directory = { ...place('pg'), kind: 'path' as const };
    await using _directory = await take(other, { places: [directory], work: 'restore' });
  }
  expect(machine.taken).toEqual([]);
});

test('works that only read share a volume, across state folders too, and keep one away that writes', async () => {
  const machine = new ClaimingMachine();
  const [one, other] = [await accessOn(machine, 'one'), await accessOn(machine, 'other')];
  for (const access of [one, other]) mkdirSync(access.stateDir, { recursive: true });
  const places = [{ kind: 'volume', name: 'pg', identity: 'of pg' }] as const;
  await using _first = await take(one, { places, work: 'export' });
  await using _beside = await take(one, { places, work: 'clone' });
  await using _elsewhere = await take(other, { places, work: 'copy from' });
  for (const access of [one, other])
    await expect(take(access, { places, work: 'restore' })).rejects.toMatchObject({ code: 'locked' });
});

test('a volume of our plugin is held under its own name too, unless the engine may remove it', async () => {
  const { by, catalog } = await withPlugin({});
  const place = { kind: 'volume', name: 'pg', hostIdentity: 'engine' } as const;
  const removeByPlugin = async (): Promise<AsyncDisposable> =>
    await take(by, { places: [{ ...place, hostIdentity: catalog.stateId() }], work: 'remove' });
  {
    await using _held = await take(by, { places: [place], work: 'restore' });
    await expect(removeByPlugin()).rejects.toMatchObject({ code: 'locked' });
  }
  const places = [{ ...place, isRemovedThere: true }];
  await using _held = await take(by, { places, work: 'restore' });
  await using _removal = await removeByPlugin();
  await expect(take(by, { places: [place], work: 'export' })).rejects.toMatchObject({
    code: 'locked',
  });
});

test('what a lease was taken on stays for a full disk, which takes no new files, and goes with the volume', async () => {
  const { access, stateDir: unused } = await stillWorld();
  rmSync(unused, { recursive: true });
  mkdirSync(join(stateDir, 'one'));
  const by = { ...access, stateDir: join(stateDir, 'one') };
  const places = ['pg', 'files'].map((name) => ({ kind: 'volume', name, identity: name }) as const);
  const kept = (): number => readdirSync(join(by.stateDir, 'leases')).length;
  for (const work of ['back up', 'restore', 'export'] as const) {
    await using _held = await take(by, { places, work });
  }
  expect(kept()).toBe(4);
  for (const place of places) {
    await using _held = await take(by, { places: [place], work: 'remove' });
  }
  expect(kept()).toBe(0);
});

test.runIf(process.geteuid?.() === 0)('on a disk that takes no more files, a work goes on', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'tmpfs', stateDir]);
  try {
    mkdirSync(join(stateDir, 'leases'));
    writeFileSync(join(stateDir, 'last'), '');
    const { access, stateDir: unused } = await stillWorld();
    rmSync(unused, { recursive: true });
    const places = [{ kind: 'volume', name: 'pg' }] as const;
    await using _held = await take({ ...access, stateDir }, { places, work: 'remove' });
    // All leases are one then, and the second of several containers would wait for the first.
    const app = takeLease({ stateDir, identity: 'app web', name: 'web', action: 'back up' });
    await expect(app).rejects.toMatchObject({ code: 'ENOSPC' });
  } finally {
    execFileSync('umount', ['--lazy', stateDir]);
  }
});

test('a volume of which the engine cannot tell while our plugin is away is held both ways', async () => {
  const { access, stateDir: unused } = await stillWorld();
  rmSync(unused, { recursive: true });
  mkdirSync(join(stateDir, 'one'));
  const catalog = { ...(await access.catalog()), findManagedVolume: () => volumeRecord };
  const error = new AppError('failed', 'error looking up volume plugin holdfast');
  const host = { ...(await access.host()), findVolume: () => Promise.reject(error) };
  const by = {
    ...access,
    stateDir: join(stateDir, 'one'),
    catalog: async () => catalog,
    host: async () => host,
  };
  const place = { kind: 'volume', name: 'pg' } as const;
  await using _held = await take(by, { places: [place], work: 'migrate' });
  const places = [{ ...place, hostIdentity: catalog.stateId() }];
  await expect(take(by, { places, work: 'remove' })).rejects.toMatchObject({ code: 'locked' });
});

test('a removal through the engine leaves the plugin a volume whose one lineage is that of both ways to it', async () => {
  const { by, catalog } = await withPlugin({ volumeIdentity: () => 'of pg' });
  const place = { kind: 'volume', name: 'pg' } as const;
  const requests = [
    { places: [place], work: 'remove' },
    { places: [{ ...place, isRemovedThere: true }], work: 'restore' },
  ] as const;
  for (const request of requests) {
    await using _held = await take(by, request);
    const places = [{ ...place, hostIdentity: catalog.stateId() }];
    await using _removal = await take(by, { places, work: 'remove' });
    const other = take(by, { places: [place], work: 'export' });
    await expect(other).rejects.toMatchObject({ code: 'locked' });
  }
  await using _held = await take(by, { places: [place], work: 'back up' });
  const places = [{ ...place, hostIdentity: catalog.stateId() }];
  await expect(take(by, { places, work: 'remove' })).rejects.toMatchObject({ code: 'locked' });
});
