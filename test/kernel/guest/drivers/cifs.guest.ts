import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../../../src/catalog/sqlite-catalog.ts';
import { cifsDriver } from '../../../../src/drivers/cifs.ts';
import { describeDriver } from '../../../suites/driver-contract.ts';
import type { DriverVolume } from '../../../../src/drivers/driver.ts';
import { openDrivers } from '../../../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../../../src/volumes/managed/managed-host.ts';
import { mountAt, readMounts } from '../../../../src/lib/mountinfo.ts';
import { fromText } from '../../../../src/model/byte-string.ts';
import { login, type SambaServer, startSambaServer } from '../samba-server.ts';

const secrets: Record<string, string> = {
  'env:LOGIN': `username=${login.username}\npassword=${login.password}\n`,
  'env:PASSWORD': login.password,
  'env:WRONG': 'another',
};
const secret = async (reference: string): Promise<Uint8Array> => Buffer.from(secrets[reference] ?? '');
const cifs = cifsDriver({ secret });

let server: SambaServer;
beforeAll(async () => {
  server = await startSambaServer();
});
afterAll(() => server[Symbol.asyncDispose]());

describeDriver('cifs', {
  open: () => cifs,
  options: async () => ({ type: 'cifs', device: await server.newShare(), credentials: 'env:LOGIN' }),
  refused: [],
});

describe('a mount of cifs', () => {
  test('takes a user in its options, and the password by reference', async () => {
    await using one = await makeVolume({ o: `username=${login.username}`, password: 'env:PASSWORD' });
    await cifs.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
    expect((await cifs.usage?.(one.volume))?.totalBytes).toBeGreaterThan(0);
  });

  test('does not show its password, neither in the list of mounts nor when inspected', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'cifs-'));
    const catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
    const { managed } = await openManagedHost({
      stateDir,
      catalog,
      drivers: openDrivers({ stateDir, secret }),
    });
    const options = { type: 'cifs', device: await server.newShare(), credentials: 'env:LOGIN' };
    await managed.create({ name: 'share', driver: '', labels: {}, options });
    await managed.mount('share', 'one');
    const shown = JSON.stringify([await managed.find('share'), await readFile('/proc/mounts', 'utf8')]);
    expect(shown).toContain('env:LOGIN');
    expect(shown).toContain(`username=${login.username}`);
    expect(shown).not.toContain('a pass');
    expect(shown).not.toMatch(/pass(?:word)?=/);
    await managed.unmount('share', 'one');
    await managed.remove('share', { permanent: true });
    catalog[Symbol.dispose]();
    await rm(stateDir, { recursive: true });
  });

  test.each([
    [
      { o: `username=${login.username}`, password: 'env:WRONG' },
      'denied',
      'refuses the user or the password',
    ],
    [{ o: 'username=nobody-here', password: 'env:PASSWORD' }, 'denied', 'refuses the user or the password'],
    [{ device: '//127.0.0.1/no-such-share', credentials: 'env:LOGIN' }, 'not-found', 'has no share'],
    [{ device: '//127.0.0.1/data/no-such-folder', credentials: 'env:LOGIN' }, 'not-found', 'has no share'],
    [{ o: 'port=1', credentials: 'env:LOGIN', wait: '0' }, 'unavailable', 'nothing listens on port 1'],
    [{ o: 'vers=1.0', credentials: 'env:LOGIN' }, 'failed', 'no version of SMB in common'],
  ] as const)('with %j fails as %s: %s', async (options, code, words) => {
    await using one = await makeVolume(options);
    const error = await cifs.mount(one.volume).then(
      () => undefined,
      (thrown: unknown) => thrown as Error & { detail?: string },
    );
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) as string });
    expect(JSON.stringify([error?.message, error?.detail])).not.toContain('a pass');
    expect(mountAt(await readMounts(), fromText(one.volume.mountpoint))).toBeUndefined();
  });

  test('whose server is away is seen, can be taken away, and comes back', async () => {
    await using one = await makeVolume({ credentials: 'env:LOGIN' });
    await cifs.mount(one.volume);
    await server.stop();
    try {
      const { status } = await cifs.health(one.volume, { isMounted: true });
      expect(['unreachable', 'failed']).toContain(status);
      await cifs.unmount(one.volume);
    } finally {
      await server.start();
    }
    await cifs.mount(one.volume);
    expect(await cifs.health(one.volume, { isMounted: true })).toMatchObject({ status: 'good' });
  });
});

async function makeVolume(
  options: Record<string, string>,
): Promise<AsyncDisposable & { volume: DriverVolume }> {
  const folder = await mkdtemp(join(tmpdir(), 'cifs-'));
  const mountpoint = join(folder, '_data');
  await mkdir(mountpoint);
  const all = { type: 'cifs', device: await server.newShare(), ...options };
  const volume = { name: 'some-volume', options: cifs.check(all), folder, mountpoint };
  return {
    volume,
    async [Symbol.asyncDispose]() {
      await cifs.unmount(volume);
      await rm(folder, { recursive: true });
    },
  };
}
