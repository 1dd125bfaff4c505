import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
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
