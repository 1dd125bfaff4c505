import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { initRepository, openRepository } from './open-repository.ts';
import type { RepositoryAccess } from './types.ts';

let folder: string;
let location: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'open-'));
  location = join(folder, 'repository');
  return () => rmSync(folder, { recursive: true });
});

function access(password = 'secret'): RepositoryAccess {
  return { location, password: async () => Buffer.from(password) };
}

async function init(): Promise<string> {
  await using repository = await initRepository(access());
  return repository.id;
}

function flipBit(path: string): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
  writeFileSync(path, bytes);
}

test('a repository is opened by its password, and only by that', async () => {
  const id = await init();
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  await using repository = await openRepository(access());
  expect(repository.id).toBe(id);
  await expect(openRepository(access('wrong'))).rejects.toMatchObject({ code: 'wrong-password' });
});

test('the password is not asked for where there is no repository', async () => {
  let isAsked = false;
  const asking = {
    location,
    password: async () => {
      isAsked = true;
      return Buffer.from('secret');
    },
  };
  await expect(openRepository(asking)).rejects.toMatchObject({ code: 'not-found' });
  mkdirSync(location);
  await expect(openRepository(asking)).rejects.toMatchObject({ code: 'not-found' });
  expect(isAsked).toBe(false);
  expect(readdirSync(location)).toEqual([]);
});

describe('init', () => {
  test('refuses where there is a repository, and leaves it alone', async () => {
    const id = await init();
    await expect(init()).rejects.toMatchObject({ code: 'exists' });
    expect(readdirSync(join(location, 'keys'))).toHaveLength(1);
    await using repository = await openRepository(access());
    expect(repository.id).toBe(id);
  });

  test('of two at the same moment one makes the repository, and the other says that it is there', async () => {
    for (let round = 0; round < 3; round++) {
      location = join(folder, `repository-${round}`);
      const passwords = ['one', 'other'];
      const made = await Promise.allSettled(passwords.map((password) => initRepository(access(password))));
      for (const one of made) if (one.status === 'fulfilled') await one.value[Symbol.asyncDispose]();
      const won = made.findIndex(({ status }) => status === 'fulfilled');
      expect(made[1 - won]).toMatchObject({ status: 'rejected', reason: { code: 'exists' } });
      expect(readdirSync(join(location, 'keys'))).toHaveLength(1);
      await using repository = await openRepository(access(passwords[won]));
      expect(repository.id).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test('refuses a folder that holds something else, and a file', async () => {
    mkdirSync(location);
    writeFileSync(join(location, 'holiday.jpg'), 'x');
    await expect(init()).rejects.toMatchObject({
      code: 'exists',
      detail: expect.stringContaining('holiday.jpg'),
    });
    expect(readdirSync(location)).toEqual(['holiday.jpg']);
    location = join(location, 'holiday.jpg');
    await expect(init()).rejects.toMatchObject({ code: 'usage' });
  });

  test('can be run again after it was killed, with the same password or another', async () => {
    await init();
    rmSync(join(location, 'config'));
    const id = await init();
    await using repository = await openRepository(access());
    expect(repository.id).toBe(id);
    expect(readdirSync(join(location, 'keys'))).toHaveLength(1);
  });

  test('never makes a new repository of one whose config is lost', async () => {
    await init();
    rmSync(join(location, 'config'));
    writeFileSync(join(location, 'snapshots', 'ab'.repeat(32)), 'x');
    const [key] = readdirSync(join(location, 'keys'));
    await expect(init()).rejects.toMatchObject({ code: 'integrity' });
    await expect(openRepository(access())).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('config'),
    });
    expect(readdirSync(join(location, 'keys'))).toEqual([key]);
  });
});

describe('damage', () => {
  test('of the config is named', async () => {
    await init();
    flipBit(join(location, 'config'));
    await expect(openRepository(access())).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('config'),
    });
  });

  test('of the only key is no wrong password', async () => {
    await init();
    const [key = ''] = readdirSync(join(location, 'keys'));
    flipBit(join(location, 'keys', key));
    await expect(openRepository(access())).rejects.toMatchObject({ code: 'integrity' });
    rmSync(join(location, 'keys', key));
    await expect(openRepository(access())).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('no key files'),
    });
  });
});
