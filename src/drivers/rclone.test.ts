import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rcloneDriver } from './rclone.ts';

test('a program that a volume’s options name is not run where other users can write to the state folder', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'rclone-'));
  using _folder = { [Symbol.dispose]: () => rmSync(stateDir, { recursive: true }) };
  chmodSync(stateDir, 0o777);
  const driver = rcloneDriver({ stateDir, secret: () => Promise.reject(new Error('not asked')) });
  const folder = join(stateDir, 'volume');
  const mountpoint = join(folder, '_data');
  mkdirSync(mountpoint, { recursive: true });
  const remote = 'b2:bucket';
  for (const options of [
    { remote: `:sftp,host=h,ssh=${stateDir}/program:x` },
    { remote, config: `${stateDir}/rclone.conf` },
    { remote, 'secret.sftp-ssh': 'file:/x' },
    { remote, 'secret.s3-secret-access-key': 'exec:/x' },
  ])
    await expect(
      driver.mount?.({ name: 'v', options, folder, mountpoint }),
      JSON.stringify(options),
    ).rejects.toMatchObject({ code: 'denied' });
});
