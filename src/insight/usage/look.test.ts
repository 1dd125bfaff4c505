import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import type { Host } from '../../hosts/host.ts';
import { AppError } from '../../model/errors.ts';
import { SizeWatch } from './look.ts';

test('a volume that cannot be opened does not hide the sizes of the others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'look-'));
  try {
    const volumes = ['lost', 'whole'].map((name) => ({
      ...{
        name,
        driver: 'local',
        options: {},
        labels: {},
        consumers: [],
        anonymous: false,
        stack: undefined,
      },
      mountpoint: join(folder, name),
    }));
    mkdirSync(join(folder, 'whole'));
    writeFileSync(join(folder, 'whole/rows'), 'data');
    const host = {
      kind: 'docker',
      info: async () => ({ identity: 'h', kind: 'docker', isRemote: false }),
      listVolumes: async () => volumes,
      async openData(name: string) {
        if (name === 'lost') throw new AppError('failed', 'Its folder is not there');
        return { way: 'direct', [Symbol.asyncDispose]: async () => {} };
      },
    } as unknown as Host;
    using catalog = openSqliteCatalog(':memory:');
    await using watch = new SizeWatch();
    const look = { host, catalog, signal: new AbortController().signal };
    await watch.look(look);
    // The second takes what was walked, where the file system cannot be watched.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await watch.look(look);
    const places = catalog.usage.listPlaces('h').filter(({ kind }) => kind === 'volume');
    expect(places).toMatchObject([
      { name: 'lost', bytes: undefined },
      { name: 'whole', bytes: 4, files: 1 },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a disk that does not answer for a while keeps its history', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'look-'));
  const node = process.execPath;
  try {
    const facts = { driver: 'local', options: {}, labels: {}, consumers: [], anonymous: false };
    const host = {
      kind: 'embedded',
      info: async () => ({ identity: 'h', kind: 'embedded', isRemote: false }),
      listVolumes: async () => [{ name: 'pg', ...facts, stack: undefined, mountpoint: folder }],
    } as unknown as Host;
    using catalog = openSqliteCatalog(':memory:');
    const look = { host, catalog, signal: new AbortController().signal };
    const disk = () => catalog.usage.listPlaces('h').find(({ kind }) => kind === 'disk');
    {
      await using watch = new SizeWatch();
      await watch.look(look);
    }
    const { name = '', bytes } = disk() ?? {};
    const history = () =>
      catalog.usage.listSamples('h', { kind: 'disk', name }, { spanSeconds: 60, fromSeconds: 0 });
    expect(history()).toHaveLength(1);
    const hanging = join(folder, 'node');
    writeFileSync(hanging, `#!/bin/sh\nread -r question\necho '{"at":0}'\nexec sleep 60\n`);
    chmodSync(hanging, 0o755);
    process.execPath = hanging;
    await using watch = new SizeWatch({ patienceMs: 50 });
    await watch.look(look);
    expect(disk()).toMatchObject({
      ...{ name, bytes, problem: 'its disk does not answer' },
      ...{ capacityBytes: undefined, freeBytes: undefined },
    });
    expect(history()).toHaveLength(1);
  } finally {
    process.execPath = node;
    rmSync(folder, { recursive: true });
  }
});
