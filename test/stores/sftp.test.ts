import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { SftpAddress } from '../../src/repository/stores/address.ts';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { describeStore } from '../../src/repository/stores/store-suite.ts';
import { type SshServer, startSshServer } from '../docker/ssh-server.ts';

let folder: string;
let server: SshServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sftp-'));
  server = await startSshServer(folder);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function sftpAddress(path: string, more: Partial<SftpAddress> = {}): SftpAddress {
  return {
    kind: 'sftp',
    text: `sftp://127.0.0.1:${server.port}/${path}`,
    user: undefined,
    host: '127.0.0.1',
    port: server.port,
    path,
    configFile: join(folder, 'client-config'),
    identityFile: undefined,
    ...more,
  };
}

describeStore({
  name: 'sftp',
  async open() {
    const place = mkdtempSync(join(tmpdir(), 'sftp-store-'));
    const store = openStore(sftpAddress(join(place, 'not/there/yet')));
    return {
      store,
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]?.();
        rmSync(place, { recursive: true });
      },
    };
  },
});
