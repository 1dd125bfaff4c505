import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initRepository, openRepository } from '../open-repository.ts';
import type { Repository } from '../types.ts';

const [first, second, third] = [Buffer.from('first'), Buffer.from('second'), Buffer.from([0xff, 0, 0xfe])];

let folder: string;
let location: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'keys-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function open(password: Uint8Array): Promise<Repository> {
  return openRepository({ location, password: async () => password });
}

async function init(name: string): Promise<Repository> {
  location = join(folder, name);
  return await initRepository({ location, password: async () => first });
}

test('an added key opens the same repository, for a password of any bytes', async () => {
  await using repository = await init('add');
  const added = await repository.addKey(third);
  expect(added).toMatchObject({ isCurrent: false, isDamaged: false, created: expect.stringMatching(/Z$/) });
  await using again = await open(third);
  expect(again.id).toBe(repository.id);
  const keys = await again.listKeys();
  expect(keys.map(({ id, isCurrent }) => [id === added.id, isCurrent])).toEqual([
    [false, false],
    [true, true],
  ]);
  expect(await again.keyOf(third)).toBe(added.id);
  expect(await again.keyOf(second)).toBeUndefined();
});

test('neither the last nor the current key is removed, and the errors say what to do', async () => {
  await using repository = await init('refuse');
  const [own] = await repository.listKeys();
  const id = own?.id ?? '';
  await expect(repository.removeKey(id)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('last'),
  });
  await expect(repository.removeKey(id, { instead: first })).rejects.toMatchObject({ code: 'conflict' });
  await repository.addKey(second);
  await expect(repository.removeKey(id)).rejects.toMatchObject({ code: 'in-use' });
  await expect(repository.removeKey(id, { instead: third })).rejects.toMatchObject({ code: 'in-use' });
  await expect(repository.removeKey('ab'.repeat(32))).rejects.toMatchObject({ code: 'not-found' });
  expect(readdirSync(join(location, 'keys'))).toHaveLength(2);
  expect(readdirSync(join(location, 'locks'))).toEqual([]);
});

test('the key in use is removed once another is proven to open, which then takes its place', async () => {
  await using repository = await init('change');
  const [own] = await repository.listKeys();
  const added = await repository.addKey(second);
  await repository.removeKey(own?.id ?? '', { instead: second });
  expect(await repository.listKeys()).toMatchObject([{ id: added.id, isCurrent: true }]);
  await expect(open(first)).rejects.toMatchObject({ code: 'wrong-password' });
  await using again = await open(second);
  expect(again.id).toBe(repository.id);
  await expect(repository.removeKey(added.id)).rejects.toMatchObject({ code: 'conflict' });
});

test('a damaged key is listed and can be removed, and counts for nothing', async () => {
  await using repository = await init('damaged');
  const [own] = await repository.listKeys();
  const other = await repository.addKey(second);
  appendFileSync(join(location, 'keys', other.id), ' ');
  const found = (await repository.listKeys()).find(({ id }) => id === other.id);
  expect(found).toMatchObject({ isDamaged: true, username: '', hostname: '', created: '' });
  await expect(repository.removeKey(own?.id ?? '', { instead: second })).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('last'),
  });
  await repository.removeKey(other.id);
  expect(readdirSync(join(location, 'keys'))).toEqual([own?.id]);
});

/** A key file put there by a user who can write to the store. */
function plant(name: string, change: object): string {
  const file = JSON.parse(readFileSync(join(location, 'keys', name), 'utf8')) as object;
  const bytes = JSON.stringify({ ...file, created: String(Math.random()), ...change });
  const id = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(location, 'keys', id), bytes);
  return id;
}

test('hostile key files do not hide the real one, and a refused one is named', async () => {
  await using repository = await init('hostile');
  const refused = [
    { N: 2 ** 20, r: 16, p: 8 },
    { N: 2 ** 24, r: 1, p: 1 },
    { N: 2 ** 30, r: 8, p: 1 },
    { p: 1e15 },
    { kdf: 'other' },
    { N: '65536' },
    { r: null },
  ];
  const [own = ''] = readdirSync(join(location, 'keys'));
  const ids = refused.map((change) => plant(own, change));
  for (const change of [{ salt: 5 }, { data: null }, { data: '%%%', N: 2 }, { salt: '', N: 2 }])
    plant(own, change);
  const big = Buffer.alloc(70_000, ' ');
  writeFileSync(join(location, 'keys', createHash('sha256').update(big).digest('hex')), big);
  await using again = await open(first);
  expect(again.id).toBe(repository.id);
  const wrong = await open(second).catch((error: unknown) => error as Error);
  expect(wrong).toMatchObject({ code: 'unsupported' });
  expect(ids.some((id) => (wrong as Error).message.includes(id))).toBe(true);
});

test('when another process has removed a key, the last one is not removed', async () => {
  await using repository = await init('gone');
  const [own] = await repository.listKeys();
  const other = await repository.addKey(second);
  rmSync(join(location, 'keys', own?.id ?? ''));
  await expect(repository.removeKey(other.id)).rejects.toMatchObject({ code: 'conflict' });
});

test('unlock removes stale locks only, unless all are meant', async () => {
  await using repository = await init('unlock');
  const damaged = 'cd'.repeat(32);
  writeFileSync(join(location, 'locks', damaged), 'x');
  const dry = await repository.unlock({ all: true, dryRun: true });
  expect(dry.removed).toMatchObject([{ id: damaged, isReadable: false }]);
  expect((await repository.unlock({ all: false })).kept).toMatchObject([{ id: damaged, stale: undefined }]);
  expect(readdirSync(join(location, 'locks'))).toEqual([damaged]);
  expect((await repository.unlock({ all: true })).removed).toHaveLength(1);
  expect(readdirSync(join(location, 'locks'))).toEqual([]);
});
