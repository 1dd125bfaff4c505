import { copyFile, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Catalog } from '../../../../src/catalog/catalog.ts';
import { openDrivers } from '../../../../src/drivers/open-drivers.ts';
import type { ManagedVolumes } from '../../../../src/volumes/managed/managed-volumes.ts';
import { runProgram } from '../../../../src/lib/run-program.ts';
import { holdfastCommand } from '../../../support/holdfast-command.ts';
import { known, luks, openManaged, saved, stateDir } from '../kept-volumes.ts';
import { startNfsServer } from '../nfs-server.ts';

let managed: ManagedVolumes;
let catalog: Catalog;
beforeAll(async () => {
  ({ managed, catalog } = await openManaged());
});
afterAll(() => catalog[Symbol.dispose]());

const imageOf = (name: string): string => join(stateDir, 'volumes', name, 'image');
const mappings = async (): Promise<string> => (await runProgram('dmsetup', ['ls'])).stdout;

test('holds from before the boot are gone, and nothing is open', async () => {
  expect((await managed.list()).map(({ name }) => name)).toEqual(['erased', 'kept', 'rotating']);
  await managed.reconcile();
  expect(catalog.volumes.listHolds()).toEqual([]);
  expect((await managed.list()).map(({ isMounted }) => isMounted)).toEqual([false, false, false]);
  expect(await mappings()).not.toContain('holdfast-');
});

test.each(['KNOWN PLAINTEXT', 'telling-name'])('no image holds "%s" in the clear', async (words) => {
  for (const name of ['kept', 'erased', 'rotating']) {
    const found = await runProgram('grep', ['-c', '-a', words, imageOf(name)]);
    expect(found.stdout.trim()).toBe('0');
  }
});

test('a volume that was open has the written data, and is closed again after its use', async () => {
  const at = await managed.mount('kept', 'container-2');
  expect(await readFile(join(at, 'a-telling-name'), 'utf8')).toBe(known);
  await managed.unmount('kept', 'container-2');
  expect(await mappings()).not.toContain('holdfast-');
});

test('a rotation after the boot keeps the data, and lets the key of before in no more', async () => {
  const keyFile = join(stateDir, 'volumes/kept/key.json');
  const before = await readFile(keyFile);
  await managed.rotate('kept', undefined);
  const now = await readFile(keyFile);
  await writeFile(keyFile, before);
  await expect(managed.mount('kept', 'x')).rejects.toMatchObject({ code: 'wrong-password' });
  await writeFile(keyFile, now);
  const at = await managed.mount('kept', 'x');
  expect(await readFile(join(at, 'a-telling-name'), 'utf8')).toBe(known);
  await managed.unmount('kept', 'x');
});

test('it moves to a directory, and back into encryption that shows nothing of it', async () => {
  const holdfast = holdfastCommand(stateDir);
  const content = async (): Promise<string> => {
    const at = await managed.mount('kept', 'x');
    const text = await readFile(join(at, 'a-telling-name'), 'utf8');
    await managed.unmount('kept', 'x');
    return text;
  };
  await holdfast.run('volume', 'migrate', 'kept', '--driver', 'local', '--yes');
  expect(await content()).toBe(known);
  await holdfast.run('volume', 'migrate', 'kept', '--driver', 'luks', '-o', 'size=48m', '--yes');
  expect(await content()).toBe(known);
  const found = await runProgram('grep', ['-c', '-a', 'KNOWN PLAINTEXT', imageOf('kept')]);
  expect(found.stdout.trim()).toBe('0');
  expect(await mappings()).not.toContain('holdfast-');
});

test('a volume whose rotation the power cut ended opens, and has one key', async () => {
  const at = await managed.mount('rotating', 'x');
  expect(await readFile(join(at, 'a-telling-name'), 'utf8')).toBe(known);
  await managed.unmount('rotating', 'x');
  await managed.rotate('rotating', undefined);
  const dumped = await runProgram('cryptsetup', ['luksDump', '--dump-json-metadata', imageOf('rotating')]);
  const { keyslots } = JSON.parse(dumped.stdout) as { keyslots: object };
  expect(Object.keys(keyslots)).toHaveLength(1);
});

test('after a permanent removal, the saved keys open no copy of the image', async () => {
  const folder = '/disk/copy-of-erased';
  await mkdir(join(folder, '_data'), { recursive: true });
  await link(imageOf('erased'), join(folder, 'image'));
  await managed.remove('erased', { permanent: true });
  const copied = join(folder, 'keys-of-then');
  await mkdir(join(copied, 'keys'), { recursive: true });
  await copyFile(saved[0], join(folder, 'key.json'));
  await copyFile(saved[1], join(copied, 'keys/volumes.key'));
  const drivers = openDrivers({ stateDir: copied, secret: async () => new Uint8Array() });
  const volume = { name: 'copy', options: luks, folder, mountpoint: join(folder, '_data') };
  await expect((await drivers.get('luks')).mount(volume)).rejects.toMatchObject({ code: 'integrity' });
  await rm(folder, { recursive: true });
});

test('in the first minutes after a boot, a server of NFS that is late is waited for', async () => {
  await using server = await startNfsServer();
  const { path, folder } = await server.newExport();
  const options = { type: 'nfs', o: 'addr=127.0.0.1,rw', device: `:${path}` };
  await managed.create({ name: 'media', driver: '', labels: {}, options });
  server.stop();
  const mounted = managed.mount('media', 'container-1');
  mounted.catch(() => undefined);
  await sleep(2500);
  server.start();
  await writeFile(join(await mounted, 'file'), 'content');
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('content');
  await managed.unmount('media', 'container-1');
});
