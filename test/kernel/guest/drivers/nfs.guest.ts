import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../../../src/catalog/sqlite-catalog.ts';
import { describeDriver } from '../../../suites/driver-contract.ts';
import type { DriverVolume } from '../../../../src/drivers/driver.ts';
import { nfsDriver } from '../../../../src/drivers/nfs.ts';
import { openDrivers } from '../../../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../../../src/volumes/managed/managed-host.ts';
import { mountAt, readMounts } from '../../../../src/lib/mountinfo.ts';
import { fromText } from '../../../../src/model/byte-string.ts';
import { type NfsServer, startNfsServer } from '../nfs-server.ts';

let server: NfsServer;
beforeAll(async () => {
  server = await startNfsServer();
});
afterAll(() => server[Symbol.asyncDispose]());

describeDriver('nfs, as the server likes it', {
  open: () => nfsDriver,
  options: async () => ({
    type: 'nfs',
    o: 'addr=127.0.0.1,rw',
    device: `:${(await server.newExport()).path}`,
  }),
  refused: [],
});

describeDriver('nfs, version 3', {
  open: () => nfsDriver,
  options: async () => ({
    type: 'nfs',
    o: 'nfsvers=3',
    device: `localhost:${(await server.newExport()).path}`,
  }),
  refused: [],
});

describeDriver('nfs4', {
  open: () => nfsDriver,
  options: async () => ({
    type: 'nfs4',
    o: 'addr=127.0.0.1,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport',
    device: `:${(await server.newExport()).path}`,
  }),
  refused: [],
});

describe('a mount of nfs', () => {
  test.each([
    ['3', { o: 'nfsvers=3,ro' }, 'nfs'],
    ['4.2', { o: 'nfsvers=4.2' }, 'nfs4'],
    ['4 by its type', { type: 'nfs4' }, 'nfs4'],
  ])('in version %s is of that version', async (version, options, type) => {
    const device = `127.0.0.1:${(await server.newExport()).path}`;
    await using one = await makeVolume({ type: 'nfs', device, ...options });
    await nfsDriver.mount(one.volume);
    const mount = mountAt(await readMounts(), fromText(one.volume.mountpoint));
    expect(mount).toMatchObject({ type });
    const write = writeFile(join(one.volume.mountpoint, 'file'), 'content');
    if (version === '3') await expect(write).rejects.toMatchObject({ code: 'EROFS' });
    else await write;
  });

  test.each(['3', '4.2'])('of what is not exported is refused, in version %s', async (version) => {
    await using one = await makeVolume({
      type: 'nfs',
      o: `nfsvers=${version}`,
      device: '127.0.0.1:/no-such-export',
    });
    await expect(nfsDriver.mount(one.volume)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('/no-such-export') as string,
    });
    expect(await isMounted(one.volume)).toBe(false);
  });

  test.each(['3', '4.2'])('of what others may have is refused, in version %s', async (version) => {
    await using one = await makeVolume({
      type: 'nfs',
      o: `nfsvers=${version}`,
      device: '127.0.0.1:/not-for-us',
    });
    const error = nfsDriver.mount(one.volume);
    // Version 4 hides what the user may not access.
    await expect(error).rejects.toMatchObject({ code: version === '3' ? 'denied' : 'not-found' });
    expect(await isMounted(one.volume)).toBe(false);
  });

  test('from a port that the server does not accept is refused, and the error says so', async () => {
    await using one = await makeVolume({ type: 'nfs4', o: 'noresvport', device: '127.0.0.1:/secure' });
    await expect(nfsDriver.mount(one.volume)).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('noresvport') as string,
    });
  });

  test('from a port without a listener, or with another service, is an error that says so', async () => {
    const device = `127.0.0.1:${(await server.newExport()).path}`;
    await using silent = await makeVolume({ type: 'nfs', o: 'port=1', device, wait: '0' });
    await expect(nfsDriver.mount(silent.volume)).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'Cannot mount volume "some-volume": nothing listens on port 1 of "127.0.0.1", where NFS should be',
    });
    await using other = await makeVolume({ type: 'nfs', o: 'port=111', device, wait: '0' });
    await expect(nfsDriver.mount(other.volume)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('speaks no NFS version') as string,
    });
    const web = createServer((socket) => socket.end('HTTP/1.0 400 Bad Request\r\n\r\n')).listen(8080);
    await using _closed = { [Symbol.asyncDispose]: async () => void web.close() };
    await using third = await makeVolume({ type: 'nfs', o: 'port=8080', device, wait: '0' });
    await expect(nfsDriver.mount(third.volume)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('from a name that does not exist is an error that says so', async () => {
    await using one = await makeVolume({ type: 'nfs', device: 'no-such-host.invalid:/export', wait: '0' });
    await expect(nfsDriver.mount(one.volume)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('no-such-host.invalid') as string,
    });
  });

  test('waits for a server that comes late', async () => {
    const device = `127.0.0.1:${(await server.newExport()).path}`;
    await using one = await makeVolume({ type: 'nfs', device, wait: '40' });
    server.stop();
    const mounted = nfsDriver.mount(one.volume);
    mounted.catch(() => undefined);
    try {
      await sleep(2500);
      expect(await isMounted(one.volume)).toBe(false);
    } finally {
      server.start();
    }
    await mounted;
    expect(await isMounted(one.volume)).toBe(true);
  });

  test('whose server is away is unreachable, blocks nothing, and is good when the server is back', async () => {
    const device = `127.0.0.1:${(await server.newExport()).path}`;
    await using one = await makeVolume({ type: 'nfs', device });
    await nfsDriver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    server.stop();
    try {
      expect(await nfsDriver.health(one.volume, { isMounted: true })).toMatchObject({
        status: 'unreachable',
      });
      expect(await nfsDriver.usage?.(one.volume)).toBeUndefined();
    } finally {
      server.start();
    }
    await expect
      .poll(() => nfsDriver.health(one.volume, { isMounted: true }), { timeout: 120_000 })
      .toMatchObject({ status: 'good' });
    expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
  });

  test('whose server is away can be taken away', async () => {
    const device = `127.0.0.1:${(await server.newExport()).path}`;
    await using one = await makeVolume({ type: 'nfs', device });
    await nfsDriver.mount(one.volume);
    server.stop();
    try {
      await nfsDriver.unmount(one.volume);
      expect(await isMounted(one.volume)).toBe(false);
    } finally {
      server.start();
    }
  });
});

test.each(['3', '4.2'])(
  'a volume that its server has forgotten (version %s) is seen as failed, and mounted again when it is mounted next',
  async (version) => {
    const stateDir = await mkdtemp(join(tmpdir(), 'nfs-'));
    const catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
    const drivers = openDrivers({ stateDir, secret: async () => new Uint8Array() });
    const { managed } = await openManagedHost({ stateDir, catalog, drivers });
    const { path, folder } = await server.newExport();
    const options = { type: 'nfs', o: `addr=127.0.0.1,nfsvers=${version}`, device: `:${path}` };
    await managed.create({ name: 'media', driver: '', labels: {}, options });
    const at = await managed.mount('media', 'one');
    await writeFile(join(at, 'file'), 'old');
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await writeFile(join(folder, 'file'), 'new');
    const volume = { name: 'media', options, folder: join(at, '..'), mountpoint: at };
    // The server keeps its open files for a moment.
    await expect
      .poll(() => nfsDriver.health(volume, { isMounted: true }), { timeout: 120_000 })
      .toMatchObject({
        status: 'failed',
        message: 'The server does not know the mount any more (stale handle)',
      });
    expect(await managed.mount('media', 'two')).toBe(at);
    expect(await readFile(join(at, 'file'), 'utf8')).toBe('new');
    await managed.unmount('media', 'one');
    await managed.unmount('media', 'two');
    await managed.remove('media', { permanent: true });
    catalog[Symbol.dispose]();
    await rm(stateDir, { recursive: true });
  },
);

async function isMounted({ mountpoint }: DriverVolume): Promise<boolean> {
  return mountAt(await readMounts(), fromText(mountpoint)) !== undefined;
}

async function makeVolume(
  options: Record<string, string>,
): Promise<AsyncDisposable & { volume: DriverVolume }> {
  const folder = await mkdtemp(join(tmpdir(), 'nfs-'));
  const mountpoint = join(folder, '_data');
  await mkdir(mountpoint);
  const volume = { name: 'some-volume', options: nfsDriver.check(options), folder, mountpoint };
  return {
    volume,
    async [Symbol.asyncDispose]() {
      await nfsDriver.unmount(volume);
      await rm(folder, { recursive: true });
    },
  };
}
