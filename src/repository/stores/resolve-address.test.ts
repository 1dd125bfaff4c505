import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import type { StoreAddress } from './address.ts';
import { parseLocation } from './parse-location.ts';
import { resolveAddress } from './resolve-address.ts';
import { absoluteStoreOptions } from './store-options.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'resolve-'));
});
afterEach(() => rmSync(home, { recursive: true }));

interface Request {
  readonly env?: Record<string, string>;
  readonly values?: Record<string, string>;
}

async function resolve(text: string, { env = {}, values = {} }: Request = {}): Promise<StoreAddress> {
  return await resolveAddress(parseLocation(text), {
    env: { HOME: home, ...env },
    values,
    readSecret: async (reference) => `what ${reference} leads to`,
  });
}

const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };

function writeAws(file: 'credentials' | 'config', text: string): void {
  mkdirSync(join(home, '.aws'), { recursive: true });
  writeFileSync(join(home, '.aws', file), text);
}

describe('credentials for S3', () => {
  test('come from the environment, with the session token', async () => {
    expect(await resolve('s3:bucket', { env: keys })).toMatchObject({
      credentials: { accessKeyId: 'key', secretAccessKey: 'secret', sessionToken: undefined },
      region: 'us-east-1',
    });
    expect(await resolve('s3:bucket', { env: { ...keys, AWS_SESSION_TOKEN: 'token' } })).toMatchObject({
      credentials: { sessionToken: 'token' },
    });
  });

  test('come from the files of Amazon, by profile', async () => {
    writeAws(
      'credentials',
      '# mine\n[default]\naws_access_key_id = d\naws_secret_access_key = ds\n\n[work]\naws_access_key_id=w\naws_secret_access_key=ws=+/\naws_session_token = wt\n',
    );
    writeAws(
      'config',
      '[default]\nregion = eu-west-1\n[profile work]\n  region = ap-south-1\ns3 =\n  max_concurrent = 3\nregion = eu-west-3\n',
    );
    expect(await resolve('s3:bucket')).toMatchObject({
      credentials: { accessKeyId: 'd' },
      region: 'eu-west-1',
    });
    for (const request of [{ env: { AWS_PROFILE: 'work' } }, { values: { profile: 'work' }, env: keys }]) {
      expect(await resolve('s3:bucket', request)).toMatchObject({
        credentials: { accessKeyId: 'w', secretAccessKey: 'ws=+/', sessionToken: 'wt' },
        region: 'eu-west-3',
      });
    }
    // Keys in the environment take precedence over a profile in it.
    expect(await resolve('s3:bucket', { env: { ...keys, AWS_PROFILE: 'work' } })).toMatchObject({
      credentials: { accessKeyId: 'key' },
    });
    await expect(resolve('s3:bucket', { env: { AWS_PROFILE: 'nobody' } })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  test('come from references, which win over all others', async () => {
    const values = { 'access-key-id': 'env:A', 'secret-access-key': 'file:/b', 'session-token': 'exec:c' };
    expect(await resolve('s3:bucket', { env: keys, values })).toMatchObject({
      credentials: {
        accessKeyId: 'what env:A leads to',
        secretAccessKey: 'what file:/b leads to',
        sessionToken: 'what exec:c leads to',
      },
    });
    await expect(resolve('s3:bucket', { values: { 'access-key-id': 'env:A' } })).rejects.toMatchObject({
      code: 'usage',
    });
  });

  test('that are missing or incomplete are reported', async () => {
    await expect(resolve('s3:bucket')).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('AWS_ACCESS_KEY_ID'),
    });
    await expect(resolve('s3:bucket', { env: { AWS_ACCESS_KEY_ID: 'x' } })).rejects.toMatchObject({
      message: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
    });
  });
});

describe('options', () => {
  test('of S3 are read', async () => {
    const values = {
      region: 'eu-west-1',
      'path-style': 'always',
      'storage-class': 'STANDARD_IA',
      'object-lock': 'compliance:2w',
      'part-size': '16MiB',
      connections: '12',
      'limit-upload': '2MiB',
      'retry-for': '1m',
      'cache-size': '100MiB',
    };
    expect(await resolve('s3:https://h.example/bucket/p', { env: keys, values })).toMatchObject({
      endpoint: 'https://h.example',
      region: 'eu-west-1',
      pathStyle: 'always',
      storageClass: 'STANDARD_IA',
      objectLock: { mode: 'COMPLIANCE', days: 14 },
      partBytes: 16 * 1024 ** 2,
      connections: 12,
      upload: { bytesPerSecond: 2 * 1024 ** 2 },
      download: undefined,
      retry: { deadlineMs: 60_000, firstDeadlineMs: 10_000 },
      cacheBytes: 100 * 1024 ** 2,
    });
  });

  test('the region of a host of Amazon, or of the environment, counts', async () => {
    expect(await resolve('s3:https://s3.eu-north-1.amazonaws.com/bucket', { env: keys })).toMatchObject({
      region: 'eu-north-1',
    });
    expect(await resolve('s3:bucket', { env: { ...keys, AWS_REGION: 'eu-south-1' } })).toMatchObject({
      region: 'eu-south-1',
    });
  });

  test('of the REST server: user, password and certificates', async () => {
    const env = { RESTIC_REST_USERNAME: 'alice', RESTIC_REST_PASSWORD: 'secret' };
    expect(await resolve('rest:https://h/', { env })).toMatchObject({ user: 'alice', password: 'secret' });
    const values = { username: 'bob', password: 'env:P' };
    expect(await resolve('rest:https://h/', { env, values })).toMatchObject({
      user: 'bob',
      password: 'what env:P leads to',
    });
    expect(await resolve('rest:https://carol@h/', { env, values })).toMatchObject({ user: 'carol' });
    const ca = join(home, 'ca.pem');
    writeFileSync(ca, '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n');
    expect(await resolve('rest:https://h/', { values: { 'ca-file': ca } })).toMatchObject({
      tls: { ca: expect.stringContaining('BEGIN') },
    });
    for (const file of [join(home, 'none'), '/etc/hostname'])
      await expect(resolve('rest:https://h/', { values: { 'ca-file': file } })).rejects.toBeInstanceOf(
        AppError,
      );
  });

  test('of SFTP and rclone', async () => {
    expect(
      await resolve('sftp:h:/x', { values: { 'ssh-config': '/c', 'identity-file': '/i' } }),
    ).toMatchObject({
      configFile: '/c',
      identityFile: '/i',
    });
    expect(
      await resolve('rclone:r:x', { values: { program: '/opt/rclone', 'config-file': '/c' } }),
    ).toMatchObject({
      program: '/opt/rclone',
      configFile: '/c',
    });
    expect(await resolve('rclone:r:x')).toMatchObject({ program: 'rclone' });
  });

  test('files are named by absolute paths, so that they are found from any folder', () => {
    const where = { cwd: '/here', home: '/home/me' };
    const absolute = (values: Record<string, string>): unknown => absoluteStoreOptions('s3', values, where);
    expect(absolute({ 'ca-file': 'ca.pem', region: 'x/y' })).toEqual({
      'ca-file': '/here/ca.pem',
      region: 'x/y',
    });
    expect(absolute({ 'ca-file': '~/ca.pem' })).toEqual({ 'ca-file': '/home/me/ca.pem' });
    expect(absolute({ 'access-key-id': 'file:key', 'secret-access-key': 'env:KEY' })).toEqual({
      'access-key-id': 'file:/here/key',
      'secret-access-key': 'env:KEY',
    });
    expect(absoluteStoreOptions('rclone', { program: 'rclone' }, where)).toEqual({ program: 'rclone' });
    expect(absoluteStoreOptions('rclone', { program: './rclone' }, where)).toEqual({
      program: '/here/rclone',
    });
    expect(() => absolute({ 'ssh-config': 'x' })).toThrow('has no option');
  });

  test('a local store is slowed down only where it is wanted, and tries nothing again', async () => {
    expect(await resolve('/x', { values: { 'limit-upload': '1MiB' } })).toMatchObject({
      directory: '/x',
      upload: { bytesPerSecond: 1024 ** 2 },
      retry: undefined,
      cacheBytes: 0,
    });
  });

  test('an address can be handed to a thread', async () => {
    const address = await resolve('s3:bucket', { env: keys, values: { 'limit-upload': '1MiB' } });
    expect(structuredClone(address)).toEqual(address);
  });

  test.each([
    ['/x', { region: 'x' }],
    ['/x', { connections: '3' }],
    ['s3:bucket', { password: 'env:X' }],
    ['s3:bucket', { toString: 'x' }],
    ['s3:bucket', { region: '' }],
    ['s3:bucket', { 'path-style': 'sometimes' }],
    ['s3:bucket', { 'object-lock': '30d' }],
    ['s3:bucket', { 'object-lock': 'governance:soon' }],
    ['s3:bucket', { 'part-size': '1MiB' }],
    ['s3:bucket', { connections: '0' }],
    ['s3:bucket', { connections: 'many' }],
    ['s3:bucket', { 'limit-upload': '10' }],
    ['s3:bucket', { 'retry-for': '5' }],
  ] as const)('%s with %j is a usage error', async (text, values) => {
    await expect(resolve(text, { env: keys, values })).rejects.toMatchObject({ code: 'usage' });
  });

  test('a secret where a reference belongs is refused, and not repeated', async () => {
    for (const name of ['access-key-id', 'secret-access-key', 'session-token']) {
      const error = await resolve('s3:bucket', { values: { [name]: 'hunter2' } }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: 'usage' });
      expect(error instanceof AppError && `${error.message}${error.detail}${error.hint}`).not.toContain(
        'hunter2',
      );
    }
  });
});
