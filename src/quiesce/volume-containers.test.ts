import { mkdirSync, symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ContainerMount } from '../hosts/containers.ts';
import type { Volume } from '../model/volume.ts';
import { type StillWorld, stillWorld } from '../../test/fixtures/still-world.ts';
import { holdApps } from './hold-apps.ts';
import {
  lookAround,
  lookAroundFree,
  pathContainers,
  volumeContainers,
  writersIn,
} from './volume-containers.ts';

let world: StillWorld;
let root: string;

beforeEach(async () => {
  world = await stillWorld();
  root = join(world.stateDir, 'volumes/pg/_data');
  mkdirSync(root, { recursive: true });
  addVolume('pg', { mountpoint: root });
});
afterEach(async () => rm(world.stateDir, { recursive: true }));

function addVolume(name: string, more: Partial<Volume> = {}): void {
  world.volumes.push({
    name,
    driver: 'local',
    mountpoint: `/elsewhere/${name}/_data`,
    createdAt: undefined,
    labels: {},
    options: {},
    scope: 'local',
    anonymous: false,
    stack: undefined,
    consumers: [],
    ...more,
  });
}

function mount(type: ContainerMount['type'], source: string, readOnly = false): ContainerMount {
  return { type, source, destination: '/data', readOnly };
}

function container(name: string, ...mounts: ContainerMount[]): void {
  world.containers.add({ name, mounts });
}

async function names(): Promise<string[]> {
  return (await volumeContainers(world.access, 'pg', {})).map(({ name }) => name);
}

test('finds containers that mount the volume by its name, running or not, and no others', async () => {
  container('by-name', mount('volume', 'pg'));
  world.containers.add({ name: 'old', state: 'exited', mounts: [mount('volume', 'pg', true)] });
  container('other', mount('volume', 'pg2'), mount('bind', '/srv'), mount('tmpfs', 'pg'));
  expect(await names()).toEqual(['by-name', 'old']);
});

test('finds containers that bind its folder, a folder in it or one above it', async () => {
  container('above', mount('bind', join(world.stateDir, 'volumes')));
  container('below', mount('bind', `${root}/base`));
  container('itself', mount('bind', root));
  container('near', mount('bind', `${root}2`));
  container('root', mount('bind', '/'));
  expect(await names()).toEqual(['above', 'below', 'itself', 'root']);
});

test('finds a folder again that is reached through a symbolic link', async () => {
  symlinkSync(join(world.stateDir, 'volumes'), join(world.stateDir, 'link'));
  container('linked', mount('bind', join(world.stateDir, 'link/pg')));
  expect(await names()).toEqual(['linked']);
});

test('finds containers of other volumes that are the same place', async () => {
  addVolume('alias', { options: { type: 'none', o: 'bind,rw', device: `${root}/` } });
  addVolume('inner', { options: { o: 'rbind', device: `${root}/base` } });
  addVolume('memory', { options: { type: 'tmpfs', device: root } });
  for (const name of ['alias', 'inner', 'memory']) container(`of-${name}`, mount('volume', name));
  expect(await names()).toEqual(['of-alias', 'of-inner']);
});

test('takes two volumes of one network share for one place, and others not', async () => {
  const share = (addr: string, device: string) => ({ type: 'nfs', o: `addr=${addr},rw`, device });
  world.volumes.length = 0;
  addVolume('pg', { options: share('10.0.0.1', ':/export/pg') });
  addVolume('same', { options: share('10.0.0.1', ':/export/pg') });
  addVolume('far', { options: share('10.0.0.2', ':/export/pg') });
  for (const name of ['same', 'far']) container(`of-${name}`, mount('volume', name));
  expect(await names()).toEqual(['of-same']);
});

test('writers are those whose mount is not read-only', async () => {
  container('reader', mount('volume', 'pg', true));
  container('writer', mount('volume', 'pg', true), mount('bind', root));
  const place = { kind: 'volume', name: 'pg' } as const;
  const found = await writersIn(await lookAround(world.access, [place], {}), place);
  expect(found.map(({ name }) => name)).toEqual(['writer']);
});

test('finds containers that mount a directory', async () => {
  container('by-volume', mount('volume', 'pg'));
  container('by-path', mount('bind', root));
  expect((await pathContainers(world.access, root, {})).map(({ name }) => name)).toEqual([
    'by-path',
    'by-volume',
  ]);
});

test('a container paused by another backup is looked at once it runs again, one paused by its user at once', async () => {
  const { containers, stateDir } = world;
  const db = containers.add({ name: 'db', state: 'paused', mounts: [mount('volume', 'pg')] });
  const place = { kind: 'volume', name: 'pg' } as const;
  const states = async (patienceMs?: number): Promise<string[]> =>
    (await writersIn(await lookAroundFree(world, [place], { patienceMs }), place)).map(({ state }) => state);
  expect(await states()).toEqual(['paused']);
  const host = await world.host();
  const about = { stateDir, hostIdentity: 'engine', host, containers: [db], reason: 'back up "other"' };
  const held = await holdApps(about, {});
  expect(await states(0)).toEqual(['paused']);
  const found = states();
  await sleep(20);
  await containers.unpause('db');
  await held[Symbol.asyncDispose]();
  expect(await found).toEqual(['running']);
});
