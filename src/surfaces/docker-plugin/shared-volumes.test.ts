import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryVolumes, directoryVolumes } from '../../../test/support/directory-volumes.ts';
import { pluginMethods, type PluginVolumes } from './answer-plugin.ts';
import { sharedMark, SharedRecords } from './shared-records.ts';
import { sharedVolumes } from './shared-volumes.ts';

let records: string;
let one: DirectoryVolumes;
let shared: PluginVolumes;
let other: PluginVolumes;
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'shared-'));
  records = join(folder, 'records');
  mkdirSync(records, { mode: 0o700 });
  writeFileSync(join(records, sharedMark), '');
  one = directoryVolumes(join(folder, 'one'));
  shared = sharedVolumes(one, new SharedRecords(records));
  other = sharedVolumes(directoryVolumes(join(folder, 'other')), new SharedRecords(records));
  return () => rmSync(folder, { recursive: true });
});

const options = { type: 'nfs', device: ':/export', o: 'addr=nas' };
const spec = { name: 'web', driver: 'local', options, labels: {} };
const put = (name: string, record: unknown): void =>
  writeFileSync(join(records, `${name}.json`), typeof record === 'string' ? record : JSON.stringify(record));

describe('volumes that several hosts share', () => {
  test('are found by the other host, and made there when they are mounted', async () => {
    await shared.create(spec);
    expect(await other.find('web')).toMatchObject({
      scope: 'global',
      options,
      kind: 'nfs',
      isMounted: false,
    });
    await other.mount('web', 'id');
    expect(await other.find('web')).toMatchObject({ scope: 'global', mountIds: ['id'] });
    expect((await shared.list()).map(({ name }) => name)).toEqual(['web']);
  });

  test('are one volume when both hosts make them at once, and a conflict with other options', async () => {
    await Promise.all([shared.create(spec), other.create(spec)]);
    expect(await other.list()).toHaveLength(1);
    const again = { ...spec, options: { ...options, device: ':/else' } };
    await expect(other.create(again)).rejects.toMatchObject({ code: 'conflict' });
    expect(await other.find('web')).toMatchObject({ options });
  });

  test('stay for all hosts while the removing host holds them', async () => {
    await shared.create(spec);
    await shared.mount('web', 'id');
    await expect(shared.remove('web')).rejects.toMatchObject({ code: 'in-use' });
    expect(await other.find('web')).toBeDefined();
  });

  test('are never the host’s own volumes', async () => {
    await one.create({ name: 'own', driver: 'local', options: {}, labels: {} });
    expect(await shared.find('own')).toBeUndefined();
    expect(await shared.list()).toEqual([]);
    for (const type of ['tmpfs', 'luks', 'ext4'])
      await expect(shared.create({ ...spec, options: { type } })).rejects.toMatchObject({
        code: 'unsupported',
      });
  });

  test('leave a volume of the host with their name alone when they are removed', async () => {
    await one.create({ name: 'web', driver: 'local', options: {}, labels: {} });
    await other.create(spec);
    await shared.remove('web');
    expect(await one.find('web')).toBeDefined();
    expect(await other.find('web')).toBeUndefined();
  });

  test('are released by containers that stop while the folder is away', async () => {
    await shared.create(spec);
    await shared.mount('web', 'docker:1:2:id');
    rmSync(join(records, sharedMark));
    expect(await shared.find('web')).toMatchObject({ scope: 'global', mountIds: ['docker:1:2:id'] });
    const request = { name: 'web', id: 'id', options: {} };
    const caller = { signal: new AbortController().signal, pid: undefined };
    await pluginMethods['VolumeDriver.Unmount']?.answer(shared, request, caller);
    expect(await one.find('web')).toMatchObject({ mountIds: [] });
    await expect(shared.find('web')).rejects.toMatchObject({ code: 'unavailable' });
  });

  test("block no other file's reads while a server does not answer", async () => {
    // Opening it blocks as with a server that is away.
    const hanging = join(records, 'hanging.json');
    execFileSync('mkfifo', [hanging]);
    const asked = Array.from({ length: 8 }, () => shared.find('hanging').catch(() => undefined));
    await sleep(100);
    try {
      const waited = sleep(15_000).then(() => 'nothing was read');
      expect(await Promise.race([readFile(join(records, sharedMark), 'utf8'), waited])).toBe('');
    } finally {
      const end = openSync(hanging, constants.O_RDWR | constants.O_NONBLOCK);
      rmSync(hanging);
      closeSync(end);
    }
    await Promise.all(asked);
  });

  test('run no command that a record names, and mount no storage of the host', async () => {
    const createdAt = '2026-01-01T00:00:00Z';
    put('owned', {
      name: 'owned',
      createdAt,
      options: { type: 'cifs', device: '//nas/x', password: 'exec:id' },
    });
    put('disk', { name: 'disk', createdAt, options: { type: 'ext4', device: '/dev/sda1' } });
    await expect(shared.mount('owned', 'id')).rejects.toMatchObject({ code: 'denied' });
    await expect(shared.mount('disk', 'id')).rejects.toMatchObject({ code: 'unsupported' });
    expect(one.calls).toEqual([]);
  });

  test('are not hidden by a record that cannot be read', async () => {
    await shared.create(spec);
    put('half', '{"name":"ha');
    put('kind', { name: 'kind', createdAt: '2026-01-01T00:00:00Z', options: { type: 'unheard' } });
    expect((await shared.list()).map(({ name }) => name)).toEqual(['web']);
    await expect(shared.find('half')).rejects.toMatchObject({ code: 'failed' });
  });

  test('are unknown, and not gone, while the folder is not the shared one or others can write to it', async () => {
    await shared.create(spec);
    chmodSync(records, 0o777);
    await expect(shared.find('web')).rejects.toMatchObject({ code: 'denied' });
    chmodSync(records, 0o700);
    rmSync(join(records, sharedMark));
    await expect(shared.find('web')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(shared.create({ ...spec, name: 'new' })).rejects.toMatchObject({ code: 'unavailable' });
  });
});
