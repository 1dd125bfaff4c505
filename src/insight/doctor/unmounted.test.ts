import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import { unmountedOver } from './unmounted.ts';

const mounts = parseMountinfo(`1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / /srv rw - xfs /dev/sda2 rw
`);

test('a path on a file system of fstab that is not mounted is known by it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fstab-'));
  const table = join(folder, 'fstab');
  try {
    writeFileSync(
      table,
      `# /dev/sdx /opt ext4
/dev/sda1 / ext4 defaults 0 1
/dev/sda2 /srv/ xfs defaults 0 2
UUID=5 /mnt/big\\040disk/ ext4 nofail 0 2
/dev/sda3 none swap sw 0 0
`,
    );
    expect(unmountedOver('/mnt/big disk/pg', mounts, table)).toBe('/mnt/big disk');
    expect(unmountedOver('/mnt/bigger', mounts, table)).toBeUndefined();
    expect(unmountedOver('/srv/pg', mounts, table)).toBeUndefined();
    expect(unmountedOver('/opt/pg', mounts, table)).toBeUndefined();
    expect(unmountedOver('/srv/pg', mounts, join(folder, 'none'))).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
