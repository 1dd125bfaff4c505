import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { hash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SftpAddress } from '../../src/repository/stores/address.ts';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { newPaceState } from '../../src/repository/stores/pace.ts';
import type { Store } from '../../src/repository/stores/store.ts';
import { describeStore } from '../suites/store-suite.ts';
import { type SshServer, startSshServer } from '../docker/ssh-server.ts';
import { childrenOf, isRunning } from './children.ts';
import { unmountAll } from '../setup/leftovers.ts';

let folder: string;
let server: SshServer;
let stores: Store[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sftp-'));
  server = await startSshServer(folder);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  stores = [];
});
afterEach(async () => {
  for (const store of stores) await store[Symbol.asyncDispose]?.();
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

function open(path: string, more: Partial<SftpAddress> = {}): Store {
  const store = openStore(sftpAddress(path, more));
  stores.push(store);
  return store;
}

/** Creates a repository in a folder of its own, and returns it. */
async function openMade(more: Partial<SftpAddress> = {}): Promise<{ store: Store; place: string }> {
  const place = mkdtempSync(join(folder, 'place-'));
  const store = open(place, more);
  await store.create();
  await store.save('config', '', Buffer.from('config'));
  return { store, place };
}

function file(length = 1000): { name: string; content: Buffer } {
  const content = randomBytes(length);
  return { name: hash('sha256', content), content };
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

describe('the identity of the other side', () => {
  test('a server with an unknown key is refused, for any configuration', async () => {
    const knownHosts = readFileSync(join(folder, 'known_hosts'));
    const lax = join(folder, 'lax-config');
    writeFileSync(lax, `${readFileSync(join(folder, 'client-config'), 'utf8')}StrictHostKeyChecking no\n`);
    await server.forgetServer();
    try {
      for (const configFile of [join(folder, 'client-config'), lax]) {
        const store = open(folder, { configFile, retry: { deadlineMs: 60_000, firstDeadlineMs: 60_000 } });
        await expect(store.exists('config', '')).rejects.toMatchObject({
          code: 'denied',
          message: expect.stringContaining('key is not known'),
        });
      }
      expect(readFileSync(join(folder, 'known_hosts'), 'utf8')).toBe('');
    } finally {
      writeFileSync(join(folder, 'known_hosts'), knownHosts);
    }
  });

  test('a server whose key has changed is reported', async () => {
    const other = join(folder, 'other-key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    const [type = '', key = ''] = readFileSync(`${other}.pub`, 'utf8').split(' ');
    const known = join(folder, 'changed_hosts');
    writeFileSync(known, `[127.0.0.1]:${server.port} ${type} ${key}\n`);
    const configFile = join(folder, 'changed-config');
    writeFileSync(configFile, `IdentityFile ${join(folder, 'user-key')}\nUserKnownHostsFile ${known}\n`);
    await expect(open(folder, { configFile }).exists('config', '')).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining('has changed'),
    });
  });

  test('a refused client key is reported, and not retried', async () => {
    const identityFile = join(folder, 'stranger');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', identityFile]);
    const configFile = join(folder, 'stranger-config');
    writeFileSync(configFile, `IdentitiesOnly yes\nUserKnownHostsFile ${join(folder, 'known_hosts')}\n`);
    const started = performance.now();
    const store = open(folder, {
      configFile,
      identityFile,
      retry: { deadlineMs: 60_000, firstDeadlineMs: 60_000 },
    });
    await expect(store.exists('config', '')).rejects.toMatchObject({ code: 'denied' });
    expect(performance.now() - started).toBeLessThan(30_000);
    await expect(
      open(folder, { configFile, identityFile: join(folder, 'user-key') }).exists('config', ''),
    ).resolves.toBe(false);
  });

  test('a host that does not answer, and one that does not exist', async () => {
    for (const [host, port] of [
      ['127.0.0.1', 1],
      ['does-not-exist.invalid', 22],
    ] as const) {
      await expect(open('/x', { host, port }).exists('config', '')).rejects.toMatchObject({
        code: 'unavailable',
      });
    }
  });
});

describe('sftp', () => {
  test('files lie where restic looks for them, and only their owner reads them', async () => {
    const { store, place } = await openMade();
    const { name, content } = file();
    await store.save('data', name, content);
    expect(readFileSync(join(place, 'data', name.slice(0, 2), name)).equals(content)).toBe(true);
    expect(readdirSync(join(place, 'data'))).toHaveLength(256);
    expect(execFileSync('stat', ['-c', '%a', join(place, 'config')], { encoding: 'utf8' })).toBe('600\n');
  });

  test('many at once over one connection keep apart', async () => {
    const { store } = await openMade();
    const files = Array.from({ length: 40 }, (_, i) => file(i * 12_345));
    await Promise.all(files.map(({ name, content }) => store.save('data', name, content)));
    const loaded = await Promise.all(files.map(({ name }) => store.load('data', name)));
    expect(loaded.every((bytes, i) => bytes.equals(files[i]?.content ?? Buffer.alloc(0)))).toBe(true);
    const [ranges] = [
      await Promise.all(
        files.slice(10).map(({ name }) => store.load('data', name, { offset: 70_001, length: 40_000 })),
      ),
    ];
    expect(
      ranges.every((bytes, i) =>
        bytes.equals(files[i + 10]?.content.subarray(70_001, 110_001) ?? Buffer.alloc(0)),
      ),
    ).toBe(true);
  });

  test('a broken connection is reopened, and partial files are never visible', async () => {
    const { store, place } = await openMade({
      upload: newPaceState(8_000_000),
      retry: { deadlineMs: 60_000, firstDeadlineMs: 1000 },
    });
    const { name, content } = file(16_000_000);
    const saving = store.save('data', name, content);
    for (let cut = 0; cut < 2; cut++) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      expect(readdirSync(join(place, 'data', name.slice(0, 2)))).not.toContain(name);
      for (const pid of childrenOf(process.pid, 'ssh')) process.kill(pid, 'SIGKILL');
    }
    await saving;
    expect((await store.load('data', name)).equals(content)).toBe(true);
    expect(await store.list('data')).toHaveLength(1);
  });

  test('a cancelled save leaves nothing behind', async () => {
    const { store, place } = await openMade({ upload: newPaceState(5_000_000) });
    const { name, content } = file(20_000_000);
    const signal = AbortSignal.timeout(300);
    await expect(store.save('data', name, content, { signal })).rejects.toMatchObject({ code: 'cancelled' });
    expect(readdirSync(join(place, 'data', name.slice(0, 2)))).toEqual([]);
  });

  test('a silent server is given up after a while', async () => {
    const { store } = await openMade({ stallMs: 500 });
    // A connection of an earlier test may not have ended yet.
    const sessions = childrenOf(process.pid, 'ssh');
    for (const pid of sessions) process.kill(pid, 'SIGSTOP');
    try {
      const started = performance.now();
      await expect(store.list('data')).rejects.toMatchObject({ code: 'unavailable' });
      expect(performance.now() - started).toBeLessThan(30_000);
    } finally {
      for (const pid of sessions) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    }
    expect(await store.list('data')).toEqual([]);
  });

  test('the rate is kept, up and down', async () => {
    const { store } = await openMade({ upload: newPaceState(2_000_000), download: newPaceState(4_000_000) });
    const { name, content } = file(1_000_000);
    const started = performance.now();
    await store.save('data', name, content);
    const saved = performance.now();
    expect(saved - started).toBeGreaterThan(450);
    expect((await store.load('data', name)).equals(content)).toBe(true);
    expect(performance.now() - saved).toBeGreaterThan(220);
  });

  test('a repository that was copied without its empty folders is whole, and gets them back', async () => {
    const { store, place } = await openMade();
    for (const name of ['locks', 'snapshots', 'data']) rmSync(join(place, name), { recursive: true });
    const { name, content } = file();
    for (const type of ['locks', 'snapshots', 'data'] as const) {
      expect(await store.list(type)).toEqual([]);
      await store.save(type, name, content);
      expect(await store.list(type)).toMatchObject([{ name, sizeBytes: content.length }]);
    }
  });

  test('foreign files are left out of lists, and prevent creating a repository', async () => {
    const { store, place } = await openMade();
    for (const foreign of ['tmp-1-0123456789abcdef', 'README', 'A'.repeat(64)])
      writeFileSync(join(place, 'snapshots', foreign), 'x');
    expect(await store.list('snapshots')).toEqual([]);
    const other = mkdtempSync(join(folder, 'other-'));
    writeFileSync(join(other, 'photo.jpg'), 'x');
    await expect(open(other).create()).rejects.toMatchObject({ code: 'exists' });
    expect(readdirSync(other)).toEqual(['photo.jpg']);
  });

  test('old leftovers are removed in time, and nothing else', async () => {
    const { store, place } = await openMade();
    const old = new Date(Date.now() - 30 * 60 * 60_000);
    const make = (path: string, time?: Date): string => {
      writeFileSync(join(place, path), 'x');
      if (time) utimesSync(join(place, path), time, time);
      return join(place, path);
    };
    const { name } = file();
    const removed = [
      make('data/00/tmp-5-0123456789abcdef', old),
      make('snapshots/tmp-5-0123456789abcdef', old),
    ];
    const kept = [
      make('data/00/tmp-5-1123456789abcdef'),
      make('data/00/tmp-mine', old),
      make(`data/${name.slice(0, 2)}/${name}`, old),
    ];
    for (let round = 0; round < 200 && removed.some((path) => existsSync(path)); round++)
      await store.removeLeftovers?.();
    expect(removed.filter((path) => existsSync(path))).toEqual([]);
    expect(kept.filter((path) => !existsSync(path))).toEqual([]);
  });

  test.runIf(process.getuid?.() === 0)('a disk that is full is told as such', async () => {
    const disk = mkdtempSync(join(folder, 'disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', disk]);
    try {
      const store = open(join(disk, 'repository'));
      await store.create();
      await store.save('config', '', Buffer.from('config'));
      const { name, content } = file(6_000_000);
      await expect(store.save('data', name, content)).rejects.toMatchObject({ code: 'full' });
      expect(await store.list('data')).toEqual([]);
      const small = file();
      await store.save('data', small.name, small.content);
      await store[Symbol.asyncDispose]?.();
    } finally {
      unmountAll([disk]);
    }
  });

  test.runIf(process.getuid?.() === 0)(
    'a disk that takes no file does not tell the time, and says so',
    async () => {
      const disk = mkdtempSync(join(folder, 'disk-'));
      execFileSync('mount', ['-t', 'tmpfs', 'none', disk]);
      try {
        const store = open(join(disk, 'repository'));
        await store.create();
        await store.save('config', '', Buffer.from('config'));
        const { name, content } = file();
        await store.save('locks', name, content);
        execFileSync('mount', ['-o', 'remount,ro', disk]);
        await expect(store.times?.('locks', name)).rejects.toMatchObject({ code: 'denied' });
        await store[Symbol.asyncDispose]?.();
      } finally {
        unmountAll([disk]);
      }
    },
  );

  test('nothing is left running when a store is closed, and it can be used again', async () => {
    const before = childrenOf(process.pid, 'ssh');
    const { store } = await openMade();
    const own = childrenOf(process.pid, 'ssh').filter((pid) => !before.includes(pid));
    expect(own).toHaveLength(1);
    await store[Symbol.asyncDispose]?.();
    expect(own.filter(isRunning)).toEqual([]);
    expect(await store.list('data')).toEqual([]);
  });
});

test('settings for forwarding, commands and prompts have no effect', async () => {
  const configFile = join(folder, 'busy-config');
  writeFileSync(configFile, readFileSync(join(folder, 'client-config')));
  appendFileSync(
    configFile,
    'RemoteCommand echo hello\nRequestTTY force\nForwardAgent yes\nLocalForward 1 127.0.0.1:1\n',
  );
  expect(await open(folder, { configFile }).exists('config', '')).toBe(false);
});

test('a program that prints a greeting instead of speaking SFTP is reported', async () => {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, 'ssh'), '#!/bin/sh\necho "Welcome to this machine, and read our rules"\nsleep 5\n');
  chmodSync(join(bin, 'ssh'), 0o755);
  const script = `
    import { openStore } from ${JSON.stringify(join(import.meta.dirname, '../../src/repository/stores/open-store.ts'))};
    const store = openStore(${JSON.stringify(sftpAddress('/x'))});
    await store.exists('config', '').catch((error) => console.log(error.code, error.message));
    await store[Symbol.asyncDispose]();`;
  mkdirSync(join(folder, 'empty'), { recursive: true });
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    env: { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child, 'close');
  expect(output).toContain('does not speak SFTP');
});
