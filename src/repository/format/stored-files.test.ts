import { hash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { portableCompressor } from '../crypto/compression.ts';
import { newMasterKey } from '../crypto/key-file.ts';
import { Sealer } from '../crypto/seal.ts';
import { openTestCodec, type TestCodec } from '../../../test/fixtures/open-codec.ts';
import { testVolume } from '../../../test/fixtures/open-repository.ts';
import { loadConfig } from './config-file.ts';
import { type FileCodec, loadJson, loadText, saveJson } from './repository-file.ts';
import { loadSnapshot, type SnapshotJson, snapshotOf } from './snapshot-file.ts';

let opened: TestCodec;
let codec: FileCodec;
beforeAll(async () => {
  opened = await openTestCodec();
  ({ codec } = opened);
});
afterAll(() => opened[Symbol.asyncDispose]());

/** Stores bytes unchanged, sealed, under their own name. */
async function saveSealed(plain: Uint8Array): Promise<string> {
  const sealed = codec.sealer.seal(plain);
  const name = hash('sha256', sealed);
  await codec.store.save('snapshots', name, sealed);
  return name;
}

describe('JSON files', () => {
  test('come back as they were saved, compressed, under the hash of what is stored', async () => {
    const value = { text: 'é\u2028 '.repeat(1000), list: [1, null, { a: true }] };
    const name = await saveJson(codec, 'snapshots', value);
    expect(await loadJson(codec, 'snapshots', name)).toEqual(value);
    const stored = await codec.store.load('snapshots', name);
    expect(hash('sha256', stored)).toBe(name);
    expect(stored.length).toBeLessThan(500);
  });

  test('of other programs are read when they are not compressed', async () => {
    for (const text of ['{"a":1}', '[1,2]'])
      expect((await loadText(codec, 'snapshots', await saveSealed(Buffer.from(text)))).toString()).toBe(text);
  });

  test('that only just do not shrink survive', async () => {
    const value = { noise: randomBytes(3).toString('hex') };
    expect(await loadJson(codec, 'snapshots', await saveJson(codec, 'snapshots', value))).toEqual(value);
    const portable = { ...codec, compressor: portableCompressor };
    expect(await loadJson(codec, 'snapshots', await saveJson(portable, 'snapshots', value))).toEqual(value);
  });

  test.each([
    ['an encoding that is unknown', Buffer.from([3, 1, 2]), 'unsupported'],
    ['nothing in them', Buffer.alloc(0), 'unsupported'],
    ['a compressed part that is none', Buffer.from([2, 1, 2, 3]), 'integrity'],
    ['JSON that breaks off', Buffer.from('{"a":'), 'integrity'],
  ])('with %s are refused', async (_what, plain, code) => {
    await expect(loadJson(codec, 'snapshots', await saveSealed(plain))).rejects.toMatchObject({ code });
  });

  test('whose bytes are not those of their name are damaged, however little is wrong', async () => {
    const name = await saveJson(codec, 'snapshots', { a: 1 });
    const bytes = await codec.store.load('snapshots', name);
    bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
    await codec.store.save('snapshots', name, bytes);
    await expect(loadJson(codec, 'snapshots', name)).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining(`snapshots/${name}`),
    });
    // An intact file of another repository is not a file of this one.
    const other = { ...codec, sealer: new Sealer(newMasterKey()) };
    const foreign = await saveJson(other, 'snapshots', { a: 1 });
    await expect(loadJson(codec, 'snapshots', foreign)).rejects.toMatchObject({ code: 'integrity' });
  });

  test('that are missing are missing', async () => {
    await expect(loadJson(codec, 'snapshots', 'ab'.repeat(32))).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('snapshots', () => {
  const tree = 'cd'.repeat(32);
  const time = '2026-01-31T12:00:00.123456789+01:00';
  const holdfast = {
    format: 1,
    dataPath: '/volume/data',
    grade: 'cold',
    problemCount: 2,
    volume: testVolume,
  };

  async function load(json: unknown): Promise<SnapshotJson> {
    return await loadSnapshot(codec, await saveJson(codec, 'snapshots', json));
  }

  test('of other programs are known by what they have', async () => {
    const json = await load({
      time,
      tree,
      paths: ['/srv', '/etc'],
      hostname: 'host',
      tags: null,
      username: 'me',
    });
    expect(snapshotOf('ab'.repeat(32), json)).toMatchObject({
      time,
      name: '/srv',
      hostname: 'host',
      tags: [],
      volume: undefined,
      grade: undefined,
      summary: undefined,
      problemCount: 0,
    });
  });

  test('of ours have their volume, grade and problems', async () => {
    const json = await load({ time, tree, paths: ['/volume/data'], tags: ['a'], holdfast });
    expect(snapshotOf('ab'.repeat(32), json)).toMatchObject({
      name: 'data',
      grade: 'cold',
      problemCount: 2,
      volume: testVolume,
      tags: ['a'],
    });
  });

  test.each([[null], [{ path: '/srv/x' }], [{ path: 1, reason: 'it is not there' }]])(
    'of ours are read without a record of small files that says what is no reason: %j',
    async (one) => {
      const config = { saved: [], leftOut: [one] };
      const json = await load({ time, tree, paths: ['/volume/data'], holdfast: { ...holdfast, config } });
      expect(snapshotOf('ab'.repeat(32), json).config).toBeUndefined();
    },
  );

  test.each([
    ['that lacks it', {}, undefined],
    ['that has it', { writable: ['/srv/app.db'] }, ['/srv/app.db']],
  ])('of ours say which small files could be written to, of a record %s', async (_what, more, writable) => {
    const config = { saved: ['/srv/app.db'], leftOut: [], ...more };
    const json = await load({ time, tree, paths: ['/volume/data'], holdfast: { ...holdfast, config } });
    expect(snapshotOf('ab'.repeat(32), json).config?.writable).toEqual(writable);
  });

  test.each([
    ['a later format', { ...holdfast, format: 2 }],
    ['no volume', { format: 1 }],
    ['a volume that is a text', { ...holdfast, volume: 'data' }],
    ['nothing', null],
  ])('with a record of ours of %s are read without it', async (_what, record) => {
    const json = await load({ time, tree, paths: ['/volume/data'], holdfast: record });
    expect(snapshotOf('ab'.repeat(32), json)).toMatchObject({ name: '/volume/data', volume: undefined });
  });

  test.each([
    ['null', null],
    ['a list', []],
    ['no tree', { time, paths: [] }],
    ['a tree that is a path', { time, tree: '../../config', paths: [] }],
    ['no time', { tree, paths: [] }],
    ['a time that is none', { time: 'yesterday', tree, paths: [] }],
    ['paths that are no texts', { time, tree, paths: [5] }],
    ['paths that are no list', { time, tree, paths: '/srv' }],
    ['tags that are no list', { time, tree, paths: [], tags: 'a' }],
  ])('of %s are damaged', async (_what, json) => {
    await expect(load(json)).rejects.toMatchObject({ code: 'integrity' });
  });
});

describe('the config', () => {
  const sound = { version: 2, id: 'ab'.repeat(32), chunker_polynomial: '3da3358b4dc173' };

  async function read(json: unknown): Promise<unknown> {
    const sealed = codec.sealer.seal(Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)));
    return await loadConfig({ ...codec.store, location: 'here', load: async () => sealed }, codec.sealer);
  }

  test('is read', async () => {
    expect(await loadConfig(codec.store, codec.sealer)).toEqual(opened.config);
    expect(await read(sound)).toEqual({ version: 2, id: sound.id, polynomial: 0x3da3358b4dc173n });
  });

  test.each([1, 3])('of version %i is refused with what to do', async (version) => {
    await expect(read({ ...sound, version })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(`version ${version}`),
      hint: expect.stringContaining(version === 1 ? 'restic migrate' : 'newer Holdfast'),
    });
  });

  test.each([
    ['no JSON', 'config'],
    ['null', 'null'],
    ['no version', { ...sound, version: undefined }],
    ['an id that is a path', { ...sound, id: '../..' }],
    ['no polynomial', { ...sound, chunker_polynomial: undefined }],
    ['a polynomial of zero', { ...sound, chunker_polynomial: '00000000000000' }],
    ['a polynomial that can be divided', { ...sound, chunker_polynomial: '3da3358b4dc172' }],
    ['a polynomial of another degree', { ...sound, chunker_polynomial: '3da3358b4dc17300' }],
  ])('of %s is damaged', async (_what, json) => {
    await expect(read(json)).rejects.toMatchObject({
      code: 'integrity',
      hint: expect.stringContaining('copy'),
    });
  });

  test('that was sealed with another key is damaged', async () => {
    await expect(loadConfig(codec.store, new Sealer(newMasterKey()))).rejects.toMatchObject({
      code: 'integrity',
    });
  });
});
