import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RcloneAddress } from '../../src/repository/stores/address.ts';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { describeStore } from '../../src/repository/stores/store-suite.ts';

function rcloneAddress(remote: string, more: Partial<RcloneAddress> = {}): RcloneAddress {
  return {
    kind: 'rclone',
    text: `rclone:${remote}`,
    remote,
    program: 'rclone',
    configFile: undefined,
    ...more,
  };
}

describeStore({
  name: 'rclone',
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'rclone-'));
    const store = openStore(rcloneAddress(`:local:${folder}/not/there/yet`));
    return {
      store,
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]?.();
        rmSync(folder, { recursive: true });
      },
    };
  },
});
