import { expect, test } from 'vitest';
import { type KeyFile, newMasterKey, openMasterKey, sealMasterKey } from './key-file.ts';

const origin = { created: '2026-01-31T12:00:00Z', username: 'me', hostname: 'here' };
const password = Buffer.from('pässwörd \xff with anything', 'latin1');
const key = newMasterKey();
const file = await sealMasterKey(key, password, origin);

test('a key file opens with its password, after a trip through JSON', async () => {
  const read = JSON.parse(JSON.stringify(file)) as KeyFile;
  const opened = await openMasterKey(read, password);
  expect(opened).toEqual({
    encrypt: Buffer.from(key.encrypt),
    macK: Buffer.from(key.macK),
    macR: Buffer.from(key.macR),
  });
});

test('a key file says how its key was derived and hides the key', () => {
  expect(file).toMatchObject({ ...origin, kdf: 'scrypt', N: 65536, r: 8, p: 1 });
  const text = JSON.stringify(file);
  for (const secret of [key.encrypt, key.macK, key.macR])
    expect(text).not.toContain(Buffer.from(secret).toString('base64'));
});

test.each([
  ['another one', Buffer.from('another')],
  ['an empty one', Buffer.alloc(0)],
  ['its own with a line end', Buffer.concat([password, Buffer.from('\n')])],
])('a wrong password opens nothing: %s', async (_what, wrong) => {
  expect(await openMasterKey(file, wrong)).toBeUndefined();
});

test.each([
  ['the salt', { salt: Buffer.alloc(64).toString('base64') }],
  ['the data', { data: file.data.replace(/^..../, 'AAAA') }],
  ['all of the data', { data: '' }],
  ['the cost', { N: 32768 }],
])('a key file with %s altered does not open', async (_what, altered) => {
  expect(await openMasterKey({ ...file, ...altered }, password)).toBeUndefined();
});

test.each([
  ['another function', { kdf: 'argon2' }],
  ['all memory', { N: 2 ** 30 }],
  ['all memory in another way', { r: 2 ** 25 }],
  ['all time', { p: 2 ** 20 }],
  ['a minute and gigabytes', { N: 2 ** 20, r: 16, p: 4 }],
  ['half a gigabyte', { N: 2 ** 19 }],
  ['much time in little memory', { N: 2 ** 14, p: 65 }],
  ['a cost that is no power of two', { N: 65535 }],
  ['a cost of one', { N: 1 }],
  ['a negative cost', { r: -8 }],
  ['half a cost', { p: 0.5 }],
  ['a cost in words', { N: 'many' as unknown as number }],
  ['no cost', { N: undefined as unknown as number }],
])('a hostile key file is refused before any work: %s', async (_what, hostile) => {
  await expect(openMasterKey({ ...file, ...hostile }, password)).rejects.toMatchObject({
    code: 'unsupported',
  });
});

test.each([
  ['no salt', { salt: undefined as unknown as string }],
  ['data that is no text', { data: 5 as unknown as string }],
])('a key file with %s is damaged', async (_what, damaged) => {
  await expect(openMasterKey({ ...file, ...damaged }, password)).rejects.toMatchObject({ code: 'integrity' });
});

test('every repository gets a key of its own, in the form that Poly1305 wants', () => {
  const { macR } = newMasterKey();
  for (const i of [3, 7, 11, 15]) expect((macR[i] ?? 0) & 0xf0).toBe(0);
  for (const i of [4, 8, 12]) expect((macR[i] ?? 0) & 0x03).toBe(0);
  expect(Buffer.from(newMasterKey().encrypt)).not.toEqual(Buffer.from(newMasterKey().encrypt));
});
