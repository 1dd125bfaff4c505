import { readFile, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTar } from '../../src/lib/tar/read-tar.ts';
import { writeTar } from '../../src/lib/tar/write-tar.ts';
import type { Entry } from '../../src/model/entry.ts';
import type { VolumeSpec } from '../../src/model/volume.ts';
import type { Host, VolumeData } from '../../src/hosts/host.ts';

export interface HostUnderTest {
  /** Opens the same host again each time. */
  open(): Promise<Host>;
}

/** The contract of hosts, for every implementation. */
export function describeHost(name: string, subject: HostUnderTest): void {
  describe(`${name} as a host`, () => {
    let host: Host;
    const made: string[] = [];
    beforeEach(async () => {
      host = await subject.open();
    });
    afterEach(async () => {
      for (const volume of made.splice(0)) await host.removeVolume(volume).catch(() => undefined);
      await host[Symbol.asyncDispose]();
    });
    const create = async (spec: Partial<VolumeSpec>) => {
      const volume = await host.createVolume({
        name: undefined,
        driver: 'local',
        labels: {},
        options: {},
        ...spec,
      });
      made.push(volume.name);
      return volume;
    };

    test('its identity stays when it is opened again', async () => {
      const first = await host.info();
      await using again = await subject.open();
      expect(await again.info()).toEqual(first);
      expect(first.identity).not.toBe('');
      expect(first.kind).toBe(host.kind);
    });

    test('a created volume is found and listed with its requested settings', async () => {
      const created = await create({ name: 'contract-one', labels: { a: '1', 'with space': 'ü' } });
      expect(created).toMatchObject({
        name: 'contract-one',
        driver: 'local',
        labels: { a: '1', 'with space': 'ü' },
      });
      expect(created).toMatchObject({ options: {}, anonymous: false, scope: 'local', consumers: [] });
      expect(Date.parse(created.createdAt ?? '')).toBeGreaterThan(Date.now() - 60_000);
      expect(await host.findVolume('contract-one')).toEqual(created);
      expect(await host.listVolumes()).toContainEqual(created);
    });

    test('volumes are listed by name', async () => {
      for (const volume of ['contract-b', 'contract-C', 'contract-a']) await create({ name: volume });
      const names = (await host.listVolumes())
        .map((volume) => volume.name)
        .filter((volume) => volume.startsWith('contract-'));
      expect(names).toEqual(['contract-C', 'contract-a', 'contract-b']);
    });

    test('creating a volume that exists with equal settings returns it', async () => {
      const first = await create({ name: 'contract-same', labels: { a: '1' } });
      expect(await create({ name: 'contract-same', labels: { a: '1' } })).toEqual(first);
    });

    test('creating a volume that exists with other labels reports the difference and changes nothing', async () => {
      const first = await create({ name: 'contract-differs', labels: { tier: 'gold' } });
      await expect(create({ name: 'contract-differs', labels: { tier: 'tin' } })).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('"contract-differs"') as string,
        detail: expect.stringMatching(/tier.*gold.*tin/) as string,
      });
      expect(await host.findVolume('contract-differs')).toEqual(first);
    });

    test('two creations of the same volume at once both get it', async () => {
      const both = await Promise.all([create({ name: 'contract-race' }), create({ name: 'contract-race' })]);
      expect(both[0].name).toBe(both[1].name);
      expect((await host.listVolumes()).filter((volume) => volume.name === 'contract-race')).toHaveLength(1);
    });

    test('a volume without a name is anonymous and gets a name of its own', async () => {
      const [first, second] = [await create({}), await create({})];
      expect(first.name).toMatch(/^[0-9a-f]{64}$/);
      expect(first.name).not.toBe(second.name);
      expect(await host.findVolume(first.name)).toMatchObject({ anonymous: true });
    });

    test('a driver that is not there is refused, and no volume stays', async () => {
      await expect(create({ name: 'contract-driver', driver: 'no-such-driver' })).rejects.toMatchObject({
        code: expect.stringMatching(/^(unsupported|not-found)$/) as string,
        message: expect.stringContaining('"contract-driver"') as string,
      });
      expect(await host.findVolume('contract-driver')).toBeUndefined();
    });

    test.each(['../etc', 'a/../../etc', '.', '..', '', 'a/b', 'x', '-rf', 'a\nb', 'ü'])(
      'the name %j leads nowhere',
      async (bad) => {
        expect(await host.findVolume(bad)).toBeUndefined();
        await expect(host.openData(bad)).rejects.toMatchObject({ code: 'not-found' });
        await expect(host.removeVolume(bad)).rejects.toMatchObject({ code: 'not-found' });
      },
    );

    test('looking for a volume or opening its data never creates it', async () => {
      expect(await host.findVolume('contract-typo')).toBeUndefined();
      await expect(host.openData('contract-typo')).rejects.toMatchObject({
        code: 'not-found',
        message: expect.stringContaining('"contract-typo"') as string,
      });
      await expect(host.openData('contract-typo', { write: true })).rejects.toMatchObject({
        code: 'not-found',
      });
      expect((await host.listVolumes()).map((volume) => volume.name)).not.toContain('contract-typo');
    });

    test('a removed volume is gone, and removing it again is an error', async () => {
      await create({ name: 'contract-gone' });
      await host.removeVolume('contract-gone');
      expect(await host.findVolume('contract-gone')).toBeUndefined();
      await expect(host.removeVolume('contract-gone')).rejects.toMatchObject({
        code: 'not-found',
        message: expect.stringContaining('"contract-gone"') as string,
      });
    });

    test('a volume that was removed and created again is empty', async () => {
      await create({ name: 'contract-again' });
      await using before = await host.openData('contract-again', { write: true });
      await writeOneFile(before, 'old');
      await before[Symbol.asyncDispose]();
      await host.removeVolume('contract-again');
      await create({ name: 'contract-again' });
      await using after = await host.openData('contract-again');
      expect(await readOneFile(after)).toBeUndefined();
    });

    test('data written to a volume is there when it is opened again', async () => {
      await create({ name: 'contract-data' });
      {
        await using data = await host.openData('contract-data', { write: true });
        await writeOneFile(data, 'kept');
      }
      await using data = await host.openData('contract-data');
      expect(await readOneFile(data)).toBe('kept');
    });

    test('a call whose signal is aborted already does nothing', async () => {
      const signal = AbortSignal.abort();
      await create({ name: 'contract-cancel' });
      const spec = { name: 'contract-never', driver: 'local', labels: {}, options: {} };
      await expect(host.createVolume(spec, { signal })).rejects.toMatchObject({ code: 'cancelled' });
      await expect(host.removeVolume('contract-cancel', { signal })).rejects.toMatchObject({
        code: 'cancelled',
      });
      await expect(host.openData('contract-cancel', { signal })).rejects.toMatchObject({ code: 'cancelled' });
      expect(await host.findVolume('contract-never')).toBeUndefined();
      expect(await host.findVolume('contract-cancel')).toBeDefined();
    });

    test('its mounts can be listed', async () => {
      expect(Array.isArray(await host.listMounts())).toBe(true);
    });
  });
}

async function writeOneFile(data: VolumeData, content: string): Promise<void> {
  if (data.way === 'direct') return await writeFile(`${data.root}/file`, content);
  const entry: Entry = {
    path: 'file',
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: content.length,
  };
  await data.writeTar('', writeTar([{ entry, open: () => chunksOf(content) }]));
}

async function readOneFile(data: VolumeData): Promise<string | undefined> {
  if (data.way === 'direct') return await readFile(`${data.root}/file`, 'utf8').catch(() => undefined);
  for await (const { entry, body } of readTar(await data.readTar(''))) {
    if (entry.path === 'file') return await text(body);
  }
  return undefined;
}

async function* chunksOf(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content);
}
