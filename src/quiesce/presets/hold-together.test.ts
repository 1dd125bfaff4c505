import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { Host } from '../../hosts/host.ts';
import type { HookMeans } from '../hooks/hook-run.ts';
import { openApplicationSession } from './application-session.ts';
import { presetOf } from './find-presets.ts';
import type { Hold } from './preset.ts';

test('locks are released at once, none waiting for another server', async () => {
  const containers = memoryContainers();
  const mounts = ['one', 'two'].map((source) => [
    { type: 'volume', source, destination: '/var/lib/mysql', readOnly: false } as const,
  ]);
  const all = mounts.map((own, i) => containers.add({ name: `db-${i}`, image: 'mariadb:11', mounts: own }));
  const host = { containers } as unknown as Host;
  const means = { host: async () => host } as unknown as HookMeans;
  const volumes = ['one', 'two'].map((name, i) => ({
    name,
    labels: {},
    stack: undefined,
    containers: all.slice(i, i + 1),
    disk: undefined,
  }));
  const application = await openApplicationSession(means, volumes, {});
  const asked: string[] = [];
  const bothAsked = Promise.withResolvers<void>();
  const preset = presetOf('mariadb');
  for (const server of application.plan.servers) {
    expect(server.preset).toBe(preset);
    const hold: Hold = {
      evidence: 'lock',
      grade: 'app',
      gradeLive: 'torn',
      async assertHeld() {
        asked.push(server.volume);
        if (asked.length === 2) bothAsked.resolve();
        await bothAsked.promise;
      },
      async [Symbol.asyncDispose]() {},
    };
    Object.assign(server, { preset: { ...preset, hold: async () => hold } });
  }
  await application.hold(new Map(), {});
  await application.letGo({});
  expect(asked.toSorted()).toEqual(['one', 'two']);
  expect(application.stillGrade('one')).toBe('app');
});
