import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import type { ManagedVolume } from '../managed/managed-volumes.ts';
import { holdApps } from '../../quiesce/hold-apps.ts';
import { stillWorld } from '../../../test/fixtures/still-world.ts';
import { findUsers } from './volume-users.ts';

test('a container that a backup has paused for a moment can be stopped, one that its user has paused cannot', async () => {
  const world = await stillWorld();
  const { containers, stateDir } = world;
  try {
    const volume = { name: 'pg', mountpoint: stateDir } as ManagedVolume;
    const mount = { type: 'bind', source: stateDir, destination: '/data', readOnly: false } as const;
    const db = containers.add({ name: 'db', state: 'paused', mounts: [mount] });
    expect((await findUsers(world, volume, {})).unstoppable).toMatchObject([{ name: 'db', instead: 'left' }]);
    const host = await world.host();
    const about = { stateDir, hostIdentity: 'engine', host, reason: 'back up "other"' };
    const held = await holdApps({ ...about, containers: [db] }, {});
    const found = findUsers(world, volume, {});
    await sleep(20);
    await containers.unpause('db');
    await held[Symbol.asyncDispose]();
    expect(await found).toMatchObject({ stops: ['db'], unstoppable: [] });
  } finally {
    await rm(stateDir, { recursive: true });
  }
});

test('a volume whose plugin is not there is no obstacle, unless what uses it would have to start again', async () => {
  const world = await stillWorld();
  const { containers, stateDir } = world;
  try {
    const engine = await world.host();
    const refusal = new AppError('conflict', 'Cannot inspect volume "pg"');
    const scope = {
      ...world,
      host: async () => ({ ...engine, containers, findVolume: () => Promise.reject(refusal) }),
    };
    const volume = { name: 'pg', mountpoint: stateDir } as ManagedVolume;
    const mount = { type: 'volume', source: 'pg', destination: '/data', readOnly: false } as const;
    containers.add({ name: 'db', state: 'exited', mounts: [mount] });
    expect(await findUsers(scope, volume, {})).toMatchObject({ up: [], stops: [] });
    containers.change('db', { state: 'running' });
    await expect(findUsers(scope, volume, {})).rejects.toBe(refusal);
  } finally {
    await rm(stateDir, { recursive: true });
  }
});
