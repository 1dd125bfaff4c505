import { spawn } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RcloneAddress } from '../../src/repository/stores/address.ts';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { newPaceState } from '../../src/repository/stores/pace.ts';
import type { Store } from '../../src/repository/stores/store.ts';
import { describeStore } from '../suites/store-suite.ts';
import { childrenOf, isRunning } from './children.ts';

let folder: string;
let stores: Store[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rclone-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  stores = [];
});
afterEach(async () => {
  for (const store of stores) await store[Symbol.asyncDispose]?.();
});

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

function open(remote: string, more: Partial<RcloneAddress> = {}): Store {
  const store = openStore(rcloneAddress(remote, more));
  stores.push(store);
  return store;
}

async function openMade(more: Partial<RcloneAddress> = {}): Promise<{ store: Store; place: string }> {
  const place = mkdtempSync(join(folder, 'place-'));
  const store = open(`:local:${place}`, more);
  await store.create();
  await store.save('config', '', Buffer.from('config'));
  return { store, place };
}

function file(length = 1000): { name: string; content: Buffer } {
  const content = randomBytes(length);
  return { name: hash('sha256', content), content };
}

describeStore({
  name: 'rclone',
  lastConfigStays: true,
  async open() {
    const place = mkdtempSync(join(tmpdir(), 'rclone-'));
    const store = openStore(rcloneAddress(`:local:${place}/not/there/yet`));
    return {
      store,
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]?.();
        rmSync(place, { recursive: true });
      },
    };
  },
});

describe('rclone', () => {
  test('files lie where restic looks for them', async () => {
    const { store, place } = await openMade();
    const { name, content } = file();
    await store.save('data', name, content);
    expect(readFileSync(join(place, 'data', name.slice(0, 2), name)).equals(content)).toBe(true);
  });

  test('a configured remote is found, and a missing one is reported', async () => {
    const place = mkdtempSync(join(folder, 'named-'));
    const configFile = join(folder, 'rclone.conf');
    writeFileSync(configFile, `[disk]\ntype = alias\nremote = ${place}\n`);
    const store = open('disk:inside', { configFile });
    await store.create();
    await store.save('config', '', Buffer.from('config'));
    expect(readFileSync(join(place, 'inside/config'), 'utf8')).toBe('config');
    const started = performance.now();
    const retry = { deadlineMs: 60_000, firstDeadlineMs: 60_000 };
    await expect(open('other:inside', { configFile, retry }).exists('config', '')).rejects.toMatchObject({
      code: 'not-found',
      hint: expect.stringContaining('rclone config'),
    });
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  test('a missing program, or one that is not rclone, is reported', async () => {
    await expect(
      open(':local:/x', { program: join(folder, 'no-rclone') }).exists('config', ''),
    ).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('there is no program'),
    });
    const program = join(folder, 'not-rclone');
    writeFileSync(program, '#!/bin/sh\necho "something else" >&2\nexit 3\n');
    chmodSync(program, 0o755);
    await expect(open(':local:/x', { program }).exists('config', '')).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('something else'),
    });
    writeFileSync(program, '#!/bin/sh\necho "Hello, I do not speak HTTP/2"\nexec sleep 20\n');
    const talking = open(':local:/x', { program, stallMs: 500 });
    await expect(talking.exists('config', '')).rejects.toMatchObject({
      code: expect.stringMatching(/^(unavailable|failed)$/),
    });
  });

  test('a killed process is restarted, and partial files are never visible', async () => {
    const { store, place } = await openMade({
      upload: newPaceState(8_000_000),
      retry: { deadlineMs: 60_000, firstDeadlineMs: 1000 },
    });
    const { name, content } = file(8_000_000);
    const saving = store.save('data', name, content);
    await sleep(400);
    for (const pid of childrenOf(process.pid, 'rclone')) process.kill(pid, 'SIGKILL');
    await saving;
    expect((await store.load('data', name)).equals(content)).toBe(true);
    expect(await store.list('data')).toHaveLength(1);
    expect(readdirSync(join(place, 'data', name.slice(0, 2)))).toContain(name);
  });

  test('a cancelled save stores nothing', async () => {
    const { store } = await openMade({ upload: newPaceState(5_000_000) });
    const { name, content } = file(20_000_000);
    const signal = AbortSignal.timeout(300);
    await expect(store.save('data', name, content, { signal })).rejects.toMatchObject({ code: 'cancelled' });
    await sleep(200);
    expect(await store.list('data')).toEqual([]);
  });

  test('a silent process is given up after a while', async () => {
    const { store } = await openMade({ stallMs: 500 });
    // A process of an earlier test may not have ended yet.
    const processes = childrenOf(process.pid, 'rclone');
    for (const pid of processes) process.kill(pid, 'SIGSTOP');
    const started = performance.now();
    try {
      await expect(store.list('data')).rejects.toMatchObject({ code: 'unavailable' });
      expect(performance.now() - started).toBeLessThan(30_000);
    } finally {
      for (const pid of processes) if (isRunning(pid)) process.kill(pid, 'SIGCONT');
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

  test('nothing is left running when a store is closed, and it can be used again', async () => {
    const before = childrenOf(process.pid, 'rclone');
    const { store } = await openMade();
    const own = childrenOf(process.pid, 'rclone').filter((pid) => !before.includes(pid));
    expect(own).toHaveLength(1);
    await store[Symbol.asyncDispose]?.();
    expect(own.filter(isRunning)).toEqual([]);
    expect(await store.list('data')).toEqual([]);
  });

  test('nothing is left running by a process that ends without closing its store, however it ends', async () => {
    const module = join(import.meta.dirname, '../../src/repository/stores/open-store.ts');
    const use = `
      import { openStore } from ${JSON.stringify(module)};
      const store = openStore(${JSON.stringify(rcloneAddress(`:local:${folder}/any`))});
      await store.exists('config', '');
      console.log('used');`;
    for (const end of ['', 'setInterval(() => 0, 1000);']) {
      const args = ['--input-type=module-typescript', '-e', use + end];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      const [rclone = 0] = end === '' ? [] : childrenOf(child.pid ?? 0, 'rclone');
      expect(rclone > 0).toBe(end !== '');
      if (end !== '') child.kill('SIGKILL');
      expect(await once(child, 'exit')).toEqual(end === '' ? [0, null] : [null, 'SIGKILL']);
      if (end !== '') await expect.poll(() => isRunning(rclone)).toBe(false);
    }
  });
});
