import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../catalog/catalog.ts';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { someVolume } from '../../test/fixtures/some-volume.ts';
import { nameNow } from './name-now.ts';
import { type StillWorld, stillWorld } from '../../test/fixtures/still-world.ts';

let world: StillWorld;
let catalog: Catalog;
beforeEach(async () => {
  world = await stillWorld();
  catalog = openSqliteCatalog(':memory:');
});
afterEach(() => {
  catalog[Symbol.dispose]();
  rmSync(world.stateDir, { recursive: true });
});

/** The current name of the volume that a snapshot recorded as "first". */
async function now(what: string, volumes: Readonly<Record<string, string>>): Promise<string> {
  world.volumes.length = 0;
  for (const [name, identity] of Object.entries(volumes)) {
    world.volumes.push(someVolume(name));
    catalog.setVolumeIdentity('engine', name, identity);
  }
  const { host } = world;
  return await nameNow({ catalog, host }, { what, recorded: { name: 'first', identity: 'its own' } }, {});
}

test('is its current name, though another volume has the former one', async () => {
  const volumes = { first: 'another', second: 'its own' };
  for (const what of ['second', 'second@latest', 'second@abcd1234', 'abcd1234'])
    expect(await now(what, volumes)).toBe('second');
});

test('is the former name when that is named, when the volume still has it, and when no volume has it', async () => {
  expect(await now('first@abcd1234', { first: 'another', second: 'its own' })).toBe('first');
  expect(await now('abcd1234', { first: 'its own', second: 'its own' })).toBe('first');
  expect(await now('abcd1234', { first: 'another' })).toBe('first');
  expect(await now('second', { first: 'its own', second: 'its own' })).toBe('second');
});

test('is refused when several volumes have its identity, unless one of them is named', async () => {
  const volumes = { first: 'another', second: 'its own', third: 'its own' };
  await expect(now('abcd1234', volumes)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('"second", "third"') as string,
  });
  expect(await now('third@abcd1234', volumes)).toBe('third');
});
