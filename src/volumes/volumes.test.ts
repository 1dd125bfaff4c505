import { linkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Host } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { parseVolumeFilter } from '../model/filter.ts';
import { consumer } from '../../test/fixtures/directory-host.ts';
import { plain, useEngine } from '../../test/fixtures/engine-under-test.ts';
import { openHostVolumes } from './open-host-volumes.ts';
import { noneProtected } from './remove-volumes.ts';

describe('volumes as such', () => {
  const t = useEngine('direct');

  test('list() takes a filter, and inspect() names a volume that is not there', async () => {
    await t.engine.create({ ...plain, name: 'one', labels: { a: '1' } });
    await t.engine.create({ ...plain, name: 'two' });
    const names = async (...texts: string[]) =>
      (await t.engine.list(parseVolumeFilter(texts))).map((volume) => volume.name);
    expect(await names()).toEqual(['one', 'two']);
    expect(await names('label=a=1')).toEqual(['one']);
    await expect(t.engine.inspect('three')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('"three"'),
    });
    expect(await t.host.findVolume('three')).toBeUndefined();
  });

  test('remove() tries each name and reports each outcome', async () => {
    await t.create('free');
    await t.create('used');
    t.host.set('used', { consumers: [consumer('web-db-1')] });
    const report = await t.engine.remove(['used', 'gone', 'free'], { force: false });
    expect(report.removed).toEqual(['free']);
    expect(report.failures.map(({ name, error }) => `${name} ${error.code}`)).toEqual([
      'used in-use',
      'gone not-found',
    ]);
    expect(report.failures[0]?.error.message).toContain('"web-db-1"');
    expect(await t.engine.remove(['gone', 'used'], { force: true })).toMatchObject({
      missing: ['gone'],
      failures: [{ name: 'used' }],
    });
    await expect(t.engine.remove([])).rejects.toMatchObject({ code: 'usage' });
  });

  test('remove() goes on after a protected volume that the engine cannot tell of', async () => {
    const removed: string[] = [];
    const host: Partial<Host> = {
      findVolume: () => Promise.reject(new AppError('conflict', 'Cannot inspect volume "gone"')),
      removeVolume: async (name) => void removed.push(name),
    };
    const protectedNames = { ...noneProtected, has: async (name: string) => name === 'gone' };
    const engine = openHostVolumes({ host: host as Host, protectedNames, leases: undefined });
    const report = await engine.remove(['first', 'gone', 'last']);
    expect(report).toMatchObject({ removed: ['first', 'last'], failures: [{ name: 'gone' }] });
    expect(removed).toEqual(['first', 'last']);
  });

  test('planPrune() chooses as Docker does and says why, with sizes', async () => {
    await t.create('named');
    await t.create('anonymous', { a: '12345' });
    await t.create('used');
    await t.create('other');
    await t.create('bound');
    t.host.set('anonymous', { anonymous: true });
    t.host.set('used', { anonymous: true, consumers: [consumer('web', 'exited')] });
    t.host.set('other', { anonymous: true, driver: 'nfs' });
    t.host.set('bound', { anonymous: true, options: { device: '/x', o: 'bind', type: 'none' } });
    const plan = await t.engine.planPrune(parseVolumeFilter([], 'prune'));
    expect(plan.remove.map(({ volume, reason, bytes }) => [volume.name, reason, bytes])).toEqual([
      ['anonymous', 'unused-anonymous', 5],
    ]);
    expect(plan.keep.map(({ volume, reason }) => [volume.name, reason])).toEqual([
      ['bound', 'has-options'],
      ['named', 'named'],
      ['other', 'other-driver'],
      ['used', 'in-use'],
    ]);
    expect(plan.keep[3]?.why).toBe('It is in use by "web" (stopped).');
    const all = await t.engine.planPrune(parseVolumeFilter(['all=true'], 'prune'));
    expect(all.remove.map(({ volume }) => volume.name)).toEqual(['anonymous', 'named']);
  });

  test('applyPrune() leaves what came into use, or was recreated, since the plan', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await t.create(name);
    const plan = await t.engine.planPrune(parseVolumeFilter(['all=1'], 'prune'));
    t.host.set('a', { consumers: [consumer('new')] });
    t.host.set('b', { createdAt: '2001-01-01T00:00:00Z' });
    await t.host.removeVolume('c');
    const report = await t.engine.applyPrune(plan);
    expect(report.removed).toEqual(['d']);
    expect(report.failures.map(({ name, error }) => `${name} ${error.code}`)).toEqual([
      'a in-use',
      'b conflict',
    ]);
  });

  test('usage() counts hard links once, holes as apparent bytes, and what lies at the top', async () => {
    const root = await t.create('v', { 'big/one': 'x'.repeat(5000), small: 'y' });
    linkSync(join(root, 'big/one'), join(root, 'big/again'));
    writeFileSync(join(root, 'sparse'), '');
    truncateSync(join(root, 'sparse'), 10_000_000);
    const [usage] = await t.engine.usage(['v']);
    if (usage === undefined || 'error' in usage) throw usage?.error ?? new Error('nothing');
    expect(usage).toMatchObject({ name: 'v', bytes: 10_005_001, files: 3, directories: 2, others: 0 });
    expect(usage.allocatedBytes).toBeLessThan(1_000_000);
    expect(usage.top.map(({ path, bytes }) => [path, bytes])).toEqual([
      ['sparse', 10_000_000],
      ['big', 5000],
      ['small', 1],
    ]);
    await expect(t.engine.usage(['nothing'])).rejects.toMatchObject({ code: 'not-found' });
  });

  test('usage() reports the error of one volume in its place, and measures the others', async () => {
    await t.create('a', { file: '1' });
    rmSync(await t.create('gone'), { recursive: true });
    await t.create('z', { file: '22' });
    const rows = await t.engine.usage(['a', 'gone', 'z']);
    expect(rows.map((row) => ('error' in row ? row.error.code : row.bytes))).toEqual([1, 'not-found', 2]);
  });
});
