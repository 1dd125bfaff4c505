import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeDriver } from '../suites/driver-contract.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { runProgram } from '../../src/lib/run-program.ts';
import { motoCredentials, type MotoServer, startMoto } from './moto-server.ts';

let moto: MotoServer;
let buckets = 0;
beforeAll(async () => {
  moto = await startMoto();
});
afterAll(() => moto[Symbol.asyncDispose]());

const secrets: Record<string, string> = {
  'env:ID': motoCredentials.accessKeyId,
  'env:KEY': motoCredentials.secretAccessKey,
};
const open = (folder: string): Promise<Driver> =>
  openDrivers({
    stateDir: join(folder, 'state'),
    secret: async (reference) => Buffer.from(secrets[reference] ?? ''),
  }).get('rclone');

const remote = (bucket: string): string =>
  `:s3,provider=Other,region=us-east-1,endpoint="${moto.endpoint}":${bucket}`;

async function newOptions(): Promise<Record<string, string>> {
  const bucket = `bucket-${(buckets += 1)}`;
  await rclone(['mkdir', remote(bucket)]);
  return {
    remote: remote(bucket),
    'secret.s3-access-key-id': 'env:ID',
    'secret.s3-secret-access-key': 'env:KEY',
  };
}

describeDriver('rclone with object storage', { open, options: newOptions, refused: [] });

describe('rclone', () => {
  test('written data is in the storage after the unmount', async () => {
    const options = await newOptions();
    await using one = await makeVolume(options);
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    await one.driver.unmount(one.volume);
    expect(await rclone(['cat', `${options['remote']}/file`])).toBe('content');
  });

  test('data that a crash kept from the storage is counted until the next mount has uploaded it', async () => {
    const options = await newOptions();
    await using one = await makeVolume(options);
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    // The file is uploaded a second after it was written; a kill before rclone has recorded its size would
    // lose the content.
    await expect.poll(() => notesIn(one.volume.folder), { interval: 5 }).toMatch(/"Size":\s*7\b/);
    process.kill(programOf(one.volume.mountpoint), 'SIGKILL');
    await one.driver.unmount(one.volume);
    expect(await one.driver.unsaved?.(one.volume)).toBe(1);
    await one.driver.mount(one.volume);
    await one.driver.unmount(one.volume);
    expect(await one.driver.unsaved?.(one.volume)).toBe(0);
    expect(await rclone(['cat', `${options['remote']}/file`])).toBe('content');
  });

  test('a wrong key, a missing bucket and an unreachable server are different errors', async () => {
    const options = await newOptions();
    await using away = await makeVolume({
      ...options,
      remote: (options['remote'] ?? '').replace(/:\d+"/, ':9"'),
    });
    await expect(away.driver.create(away.volume)).rejects.toMatchObject({ code: 'unavailable' });
    await using unknown = await makeVolume({ ...options, remote: remote('no-such-bucket-here') });
    await expect(unknown.driver.create(unknown.volume)).rejects.toMatchObject({ code: 'not-found' });
    expect(await unknown.driver.health(unknown.volume, { isMounted: false })).toMatchObject({
      status: 'unreachable',
    });
  });
});

async function makeVolume(options: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), 'rclone-driver-'));
  const mountpoint = join(folder, '_data');
  const { mkdir } = await import('node:fs/promises');
  await mkdir(mountpoint);
  const driver = await open(folder);
  const volume = { name: 'some-volume', options: driver.check(options), folder, mountpoint };
  return {
    driver,
    volume,
    async [Symbol.asyncDispose]() {
      await driver.unmount(volume);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The records of rclone beside the files in its cache. */
function notesIn(folder: string): string {
  const notes = join(folder, 'cache/vfsMeta');
  return readdirSync(notes, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

/** The process behind a mount. */
function programOf(mountpoint: string): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (words[0]?.endsWith('rclone') === true && words.includes(mountpoint)) return Number(pid);
    } catch {
      // The process has ended.
    }
  }
  throw new Error('nothing is behind it');
}

async function rclone(args: readonly string[]): Promise<string> {
  const env = {
    AWS_CA_BUNDLE: '',
    RCLONE_S3_ACCESS_KEY_ID: motoCredentials.accessKeyId,
    RCLONE_S3_SECRET_ACCESS_KEY: motoCredentials.secretAccessKey,
  };
  const { status, stdout, stderr } = await runProgram('rclone', args, { env });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
