import { expect, test } from 'vitest';
import { checkRclone, rcloneEnvironment, rcloneMountArguments } from './rclone-options.ts';

const remote = ':s3,provider=Other,endpoint=http\\://127.0.0.1\\:9000:bucket/path';

test.each([
  [{}, 'missing required option: "remote"'],
  [{ remote: '/data' }, 'names no remote'],
  [{ remote: ':s3,secret_access_key=hunter2:bucket' }, 'holds a secret'],
  [{ remote: ':sftp,host=h,pass=hunter2:x' }, 'holds a secret'],
  [{ remote, 'secret.s3-access-key-id': 'hunter2' }, 'option "secret.s3-access-key-id" is not a reference'],
  [{ remote, 'secret.PATH=/x': 'env:X' }, 'invalid option: "secret.PATH=/x"'],
  [{ remote, cache: 'all' }, 'invalid value for option "cache": "all"'],
  [{ remote, uid: 'root' }, 'is not a number'],
  [{ remote, 'allow-root': '1' }, 'invalid option: "allow-root"'],
])('%j is refused without showing a secret: %s', (options, words) => {
  const refusal = (): unknown => checkRclone(options);
  expect(refusal).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringContaining(words) as string }) as Error,
  );
  expect(refusal).not.toThrow('hunter2');
});

test('secrets reach rclone by variables, and the command line has none', async () => {
  const options = checkRclone({
    remote,
    config: '/etc/rclone.conf',
    'secret.s3-secret-access-key': 'env:KEY',
    uid: '1000',
  });
  const secret = async (reference: string): Promise<Uint8Array> => Buffer.from(`value of ${reference}`);
  expect(await rcloneEnvironment(options, secret)).toEqual({
    AWS_CA_BUNDLE: '',
    RCLONE_CONFIG: '/etc/rclone.conf',
    RCLONE_S3_SECRET_ACCESS_KEY: 'value of env:KEY',
  });
  const args = rcloneMountArguments({ options, name: 'v', mountpoint: '/m' }, { cache: '/c' });
  expect(args.slice(-2)).toEqual([remote, '/m']);
  expect(args).toEqual(
    expect.arrayContaining(['--uid', '1000', '--cache-dir', '/c', '--vfs-cache-mode', 'writes']),
  );
  expect(args.join(' ')).not.toContain('KEY');
});
