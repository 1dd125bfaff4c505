import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awkwardPassword, type Databases, startDatabases } from './databases.fixture.ts';

const path = '/data';
const request = { readyWithinMs: 30_000, countWithinMs: 30_000 };

let databases: Databases;
beforeAll(async () => {
  databases = await startDatabases();
  const command = ['redis-server', '--requirepass', awkwardPassword, '--save', ''];
  // Its health check does not log in, and accepts a refusal.
  await databases.start({ name: 'cache', image: 'redis:8', path, command });
});
afterAll(() => databases?.[Symbol.asyncDispose]());

async function cli(container: string, ...words: string[]): Promise<string> {
  return await databases.engine.docker([
    'exec',
    '-e',
    `REDISCLI_AUTH=${awkwardPassword}`,
    container,
    'redis-cli',
    ...words,
  ]);
}

describe('Redis', () => {
  test('writes its memory to disk before it is made still, each time anew', async () => {
    for (const value of ['first-value', 'second-value']) {
      await cli('cache', 'SET', 'key', value);
      const container = await databases.containers.find('cache');
      if (!container) throw new Error('It is gone');
      const recognition = { by: 'image', folder: '', files: [], reason: '' } as const;
      const { presetOf } = await import('../../src/quiesce/presets/find-presets.ts');
      const server = { containers: databases.containers, container, mountPath: path, recognition };
      expect(await presetOf('redis')?.before?.(server)).toEqual({
        evidence: 'BGSAVE in "cache"',
        grade: 'app',
      });
      expect(readFileSync(join(databases.engine.volumePath('cache'), 'dump.rdb'), 'latin1')).toContain(value);
    }
  });

  test('is recognised by its file, and reports its number of keys', async () => {
    const { preset, server } = await databases.recognise('cache');
    expect(preset.name).toBe('redis');
    expect(server.recognition.reason).toBe('the image "redis:8" and "dump.rdb" in the volume');
    expect(await preset.check(server, request)).toMatchObject({
      isHealthy: true,
      facts: ['1 key'],
      counts: { keys: 1, 'keys.db0': 1 },
    });
  });

  test('fails when it cannot write: an older file is no backup of now', async () => {
    const { preset, server } = await databases.recognise('cache');
    await cli('cache', 'CONFIG', 'SET', 'dir', '/proc').catch(() => '');
    await databases.engine.docker(['exec', '-u', '0', 'cache', 'busybox', 'chmod', '0500', '/data']);
    await expect(preset.before?.(server)).rejects.toThrow(/could not save its data/);
    await databases.engine.docker(['exec', '-u', '0', 'cache', 'busybox', 'chmod', '0755', '/data']);
    expect(await preset.before?.(server)).toMatchObject({ grade: 'app' });
  });

  test('with an append-only file has nothing to write', async () => {
    await databases.start({
      name: 'aof',
      image: 'redis:8',
      path,
      command: ['redis-server', '--appendonly', 'yes'],
    });
    await databases.engine.docker(['exec', 'aof', 'redis-cli', 'SET', 'a', 'b']);
    const { preset, server } = await databases.recognise('aof');
    expect(server.recognition.reason).toContain('"appendonlydir" in the volume');
    expect(await preset.before?.(server)).toBe(undefined);
  });

  test('refuses a wrong password', async () => {
    const { preset, server } = await databases.recognise('cache');
    const container = { ...server.container, command: ['redis-server', '--requirepass', 'wrong'] };
    await expect(preset.before?.({ ...server, container })).rejects.toMatchObject({ code: 'denied' });
    expect(await preset.check({ ...server, container }, { ...request, readyWithinMs: 500 })).toMatchObject({
      isHealthy: false,
    });
  });
});
