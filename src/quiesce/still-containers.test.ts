import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Container } from '../hosts/containers.ts';
import { AppError } from '../model/errors.ts';
import type { JobOptions } from '../activity/job-options.ts';
import { makeStill, type StillRequest } from './still-containers.ts';
import { recoverApps } from '../restore/recover.ts';
import { type StillWorld, stillWorld } from '../../test/fixtures/still-world.ts';

let world: StillWorld;

beforeEach(async () => void (world = await stillWorld()));
afterEach(async () => rm(world.stateDir, { recursive: true }));

async function still(
  how: StillRequest['how'],
  names?: readonly string[],
  { onNote, ...more }: Pick<StillRequest, 'stopsPaused'> & JobOptions = {},
) {
  const all = await world.containers.list();
  const containers = names === undefined ? all : all.filter(({ name }) => names.includes(name));
  return await makeStill(world.access, { containers, how, reason: 'back up "data"', ...more }, { onNote });
}

async function journals(): Promise<string[]> {
  const names = await readdir(path.join(world.stateDir, 'journal-apps')).catch(() => []);
  return names.filter((name) => name.endsWith('.json'));
}

function addStack(): void {
  const { containers } = world;
  const stack = 'shop';
  containers.add({ name: 'shop-db-1', stack, service: 'db' });
  containers.add({ name: 'shop-cache-1', stack, service: 'cache', dependsOn: ['db'] });
  containers.add({ name: 'shop-web-1', stack, service: 'web', dependsOn: ['db', 'cache'] });
}

test('pauses what runs and unpauses exactly that', async () => {
  const { containers } = world;
  containers.add({ name: 'db' });
  containers.add({ name: 'frozen', state: 'paused' });
  containers.add({ name: 'old', state: 'exited' });
  const held = await still('pause');
  expect(held.names).toEqual(['db']);
  expect(containers.get('db').state).toBe('paused');
  const report = await held.release();
  expect(containers.get('db').state).toBe('running');
  expect(containers.get('frozen').state).toBe('paused');
  expect(containers.get('old').state).toBe('exited');
  expect(containers.calls).toEqual(['pause db', 'unpause db']);
  expect(report).toMatchObject({ unhealthy: [], disturbed: [], apps: [{ name: 'db' }] });
});

test('stops dependants first and starts them last', async () => {
  addStack();
  await (await still('stop')).release();
  expect(world.containers.calls).toEqual([
    'stop shop-web-1',
    'stop shop-cache-1',
    'stop shop-db-1',
    'start shop-db-1',
    'start shop-cache-1',
    'start shop-web-1',
  ]);
});

test('keeps the order where a container between two is not made still', async () => {
  const { containers } = world;
  const stack = 'shop';
  containers.add({ name: 'a-db', stack, service: 'db' });
  containers.add({ name: 'api', stack, service: 'api', dependsOn: ['db'] });
  containers.add({ name: 'web', stack, service: 'web', dependsOn: ['api'] });
  await using _held = await still('stop', ['a-db', 'web']);
  expect(containers.calls).toEqual(['stop web', 'stop a-db']);
});

test('handles containers that depend on each other in a circle', async () => {
  const { containers } = world;
  containers.add({ name: 'a', stack: 's', service: 'a', dependsOn: ['b'] });
  containers.add({ name: 'b', stack: 's', service: 'b', dependsOn: ['a'] });
  await (await still('stop')).release();
  expect(containers.get('a').state).toBe('running');
  expect(containers.get('b').state).toBe('running');
});

test('leaves alone a container that its user has paused, and says so: its memory would be lost', async () => {
  world.containers.add({ name: 'db', state: 'paused' });
  world.containers.add({ name: 'web' });
  const notes: string[] = [];
  const held = await still('stop', undefined, { onNote: (note) => notes.push(note) });
  expect(held.names).toEqual(['web']);
  expect(held.unstoppable).toMatchObject([{ name: 'db', instead: 'left' }]);
  await held.release();
  expect(world.containers.calls).toEqual(['stop web', 'start web']);
  expect(world.containers.get('db').state).toBe('paused');
  expect(notes.join()).toContain('"db" stays as it is: it is paused');
});

test('stops a paused container where nothing may go on with its data, and pauses it again', async () => {
  world.containers.add({ name: 'db', state: 'paused' });
  await using held = await still('stop', undefined, { stopsPaused: true });
  expect(world.containers.get('db').state).toBe('exited');
  await held.release();
  expect(world.containers.get('db').state).toBe('paused');
});

describe('a container that has joined the network of another', () => {
  const addJoined = (joiner: Partial<Container> = {}): void => {
    const { id } = world.containers.add({ name: 'db' });
    world.containers.add({ name: 'web', joins: [id], ...joiner });
    world.containers.add({ name: 'aside', joins: ['web'] });
  };

  test('is stopped before it and started after it, whether it was asked for or not', async () => {
    addJoined();
    await (await still('stop', ['db'])).release();
    expect(world.containers.calls).toEqual([
      ...['stop aside', 'stop web', 'stop db'],
      ...['start db', 'start web', 'start aside'],
    ]);
  });

  test('is left alone when that one is only paused, or does not run', async () => {
    addJoined({ state: 'exited' });
    await (await still('pause', ['db'])).release();
    await (await still('stop', ['db'])).release();
    expect(world.containers.calls).toEqual(['pause db', 'unpause db', 'stop db', 'start db']);
  });

  test.each([{ state: 'paused' }, { removesItself: true }] as const)(
    'keeps it from being stopped when it cannot be stopped itself: %j',
    async (joiner) => {
      addJoined(joiner);
      const held = await still('stop', ['db']);
      expect(held.unstoppable).toMatchObject([{ name: 'db', instead: 'paused' }]);
      expect(held.unstoppable[0]?.why).toMatch(/^"web" shares its network, .* and cannot be stopped: it /);
      await held.release();
      expect(world.containers.calls).toEqual(['pause db', 'unpause db']);
    },
  );

  test('is held like the others, so that no other job lets it run', async () => {
    addJoined();
    await using _held = await still('stop', ['db']);
    const containers = [world.containers.get('web')];
    const again = makeStill(world.access, { containers, how: 'pause', reason: 'x', patienceMs: 50 }, {});
    await expect(again).rejects.toMatchObject({ code: 'locked' });
  });

  test('is started after it by a recovery', async () => {
    addJoined();
    const held = await still('stop', ['db']);
    await held.leave();
    await recoverApps(world.access, { patienceMs: 300 });
    expect(world.containers.calls.slice(3)).toEqual(['start db', 'start web', 'start aside']);
  });
});

test('reports a container that had to be killed, and not one that exited with an error', async () => {
  world.containers.add({ name: 'db' });
  world.containers.add({ name: 'web' });
  world.containers.endWith('db', 137);
  world.containers.endWith('web', 1);
  const notes: string[] = [];
  const held = await still('stop', undefined, { onNote: (note) => notes.push(note) });
  expect(held.killed).toMatchObject([{ name: 'db' }]);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(/^Warning: "db" did not stop by itself and was killed after \d+\.\d s/);
  await held.release();
});

test('waits for no more tasks of a service than ran before', async () => {
  world.containers.addService('web', 2);
  const [task] = await world.containers.list();
  world.containers.change(task?.name ?? '', { state: 'exited' });
  await (await still('stop')).release();
  expect(world.containers.calls).toEqual(['scale web 0', 'scale web 2, at least 1']);
});

test('reports a service whose tasks had to be killed', async () => {
  world.containers.addService('web', 2);
  world.containers.endWith('web', 137);
  const held = await still('stop');
  expect(held.killed).toMatchObject([{ name: 'web' }]);
  await held.release();
});

test('starts what it has stopped, however long that took and wherever the clock went', async () => {
  world.containers.add({ name: 'db' });
  world.containers.add({ name: 'witness' });
  const held = await still('stop', ['db']);
  world.containers.change('db', { finishedAt: new Date(Date.now() + 3_600_000).toISOString() });
  expect(await held.release()).toMatchObject({ disturbed: [] });
  expect(world.containers.get('db').state).toBe('running');
});

test('reports as disturbed a container that others have started and stopped meanwhile', async () => {
  world.containers.add({ name: 'db' });
  const held = await still('stop');
  await world.containers.start('db');
  await world.containers.stop('db', {});
  expect((await held.release()).disturbed).toEqual(['db']);
  expect(world.containers.get('db').state).toBe('exited');
});

test('does not wait for the health of a container that kept restarting before', async () => {
  world.containers.add({ name: 'loop', state: 'restarting' });
  const held = await still('stop');
  world.containers.onCall((call, name) => {
    if (call === 'find' && name === 'loop' && world.containers.get('loop').state === 'running')
      world.containers.change('loop', { state: 'restarting' });
  });
  const began = performance.now();
  expect((await held.release({ healthyWithinMs: 60_000 })).unhealthy).toEqual([]);
  expect(performance.now() - began).toBeLessThan(30_000);
});

test('has the journal on disk before the first container is touched, and removes it at the end', async () => {
  world.containers.add({ name: 'db' });
  const seen: number[] = [];
  world.containers.onCall(async (call) => {
    if (call === 'pause' || call === 'unpause') seen.push((await journals()).length);
  });
  await (await still('pause')).release();
  expect(seen).toEqual([1, 1]);
  expect(await readdir(path.join(world.stateDir, 'journal-apps'))).toEqual([]);
});

test('touches nothing when the journal cannot be written', async () => {
  world.containers.add({ name: 'db' });
  const { writeFile } = await import('node:fs/promises');
  await writeFile(path.join(world.stateDir, 'journal-apps'), '');
  await expect(still('stop')).rejects.toThrow();
  expect(world.containers.calls).toEqual([]);
});

test('brings back what was stopped when a later one cannot be stopped', async () => {
  addStack();
  world.containers.fail('stop', 'shop-db-1');
  await expect(still('stop')).rejects.toThrow('Cannot stop "shop-db-1"');
  for (const name of ['shop-db-1', 'shop-cache-1', 'shop-web-1'])
    expect(world.containers.get(name).state).toBe('running');
  expect(await journals()).toEqual([]);
});

test('keeps the journal when what was stopped cannot be started', async () => {
  world.containers.add({ name: 'db' });
  const held = await still('stop');
  world.containers.fail('start', 'db', { times: 1000 });
  await expect(held.release()).rejects.toThrow('Cannot bring "db" back as it was before');
  expect(await journals()).toHaveLength(1);
  world.containers.fail('start', 'db', { times: 0 });
  await held.release();
  expect(world.containers.get('db').state).toBe('running');
  expect(await journals()).toEqual([]);
});

test('tries again while the engine restarts', async () => {
  world.containers.add({ name: 'db' });
  const held = await still('stop');
  const error = new AppError('unavailable', 'Cannot reach the engine');
  world.containers.fail('find', 'db', { error, times: 3 });
  await held.release();
  expect(world.containers.get('db').state).toBe('running');
});

test('starts what the restarted engine ended while it was paused', async () => {
  world.containers.add({ name: 'db' });
  const held = await still('pause');
  world.containers.restartEngine();
  expect(world.containers.get('db').state).toBe('exited');
  expect((await held.release()).disturbed).toEqual(['db']);
  expect(world.containers.get('db').state).toBe('running');
});

test('reports a container that another program let run meanwhile', async () => {
  world.containers.add({ name: 'db', restarts: true });
  const held = await still('stop');
  await world.containers.start('db');
  expect((await held.release()).disturbed).toEqual(['db']);
});

test('leaves a container alone that exited by itself before it was paused', async () => {
  world.containers.add({ name: 'job' });
  world.containers.onCall((call) => {
    if (call === 'pause') world.containers.change('job', { state: 'exited' });
  });
  const held = await still('pause');
  expect(held.names).toEqual([]);
  await held.release();
  expect(world.containers.get('job').state).toBe('exited');
});

test('brings back what the engine has paused or stopped when its answer was lost', async () => {
  const { containers } = world;
  const error = new AppError('unavailable', 'The connection was lost');
  for (const [how, state] of [
    ['pause', 'paused'],
    ['stop', 'exited'],
  ] as const) {
    const name = `${how}d`;
    containers.add({ name });
    containers.onCall((call) => {
      if (call !== how) return;
      containers.change(name, { state });
      throw error;
    });
    const held = await still(how, [name]);
    expect(held.names).toEqual([name]);
    await held.release();
    expect(containers.get(name).state).toBe('running');
  }
});

test('does not count a paused container as stopped when it cannot be', async () => {
  world.containers.add({ name: 'db', state: 'paused' });
  world.containers.fail('stop', 'db');
  await expect(still('stop', undefined, { stopsPaused: true })).rejects.toThrow('Cannot stop "db"');
  expect(world.containers.get('db').state).toBe('paused');
});

test('starts again a container in a restart loop that had restarted before it was stopped', async () => {
  world.containers.add({ name: 'loop', state: 'restarting', restarts: true });
  world.containers.onCall((call) => {
    if (call === 'stop') world.containers.change('loop', { startedAt: '2030-01-01T00:00:00Z' });
  });
  await (await still('stop')).release();
  expect(world.containers.get('loop').state).toBe('running');
});

test('scales a Swarm service to nothing and back', async () => {
  world.containers.addService('web', 3);
  const held = await still('stop');
  expect(held.names).toEqual(['web']);
  expect(await world.containers.serviceReplicas('web')).toBe(0);
  await held.release();
  expect(world.containers.calls).toEqual(['scale web 0', 'scale web 3']);
});

test('pauses the tasks of a global service, which cannot be scaled', async () => {
  world.containers.addService('agent', undefined);
  await (await still('stop')).release();
  expect(world.containers.calls.map((call) => call.split(' ')[0])).toEqual(['pause', 'unpause']);
});

test('pauses what would be removed when it stops', async () => {
  world.containers.add({ name: 'once', removesItself: true });
  await (await still('stop')).release();
  expect(world.containers.calls).toEqual(['pause once', 'unpause once']);
});

test('waits until what was healthy is so again, and names what is late', async () => {
  world.containers.add({ name: 'db', health: 'healthy' });
  world.containers.add({ name: 'web', health: 'healthy' });
  const held = await still('stop');
  world.containers.onCall((call, name) => {
    if (call === 'find' && world.containers.get(name).state === 'running')
      world.containers.change(name, { health: name === 'db' ? 'healthy' : 'unhealthy' });
  });
  expect((await held.release({ healthyWithinMs: 400 })).unhealthy).toEqual(['web']);
});

test('waits for another backup that holds the same container', async () => {
  world.containers.add({ name: 'db' });
  const first = await still('pause');
  let second: string | undefined;
  const later = still('pause').then(async (held) => {
    second = held.names.join();
    await held.release();
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(second).toBeUndefined();
  await first.release();
  await later;
  expect(second).toBe('db');
  expect(world.containers.calls).toEqual(['pause db', 'unpause db', 'pause db', 'unpause db']);
});

test('a cancelled stop brings back what was stopped before', async () => {
  addStack();
  const controller = new AbortController();
  world.containers.onCall((call, name) => {
    if (call === 'stop' && name === 'shop-cache-1') controller.abort();
  });
  const containers = await world.containers.list();
  const request: StillRequest = { containers, how: 'stop', reason: 'back up' };
  await expect(makeStill(world.access, request, { signal: controller.signal })).rejects.toThrow();
  for (const { state } of await world.containers.list()) expect(state).toBe('running');
  expect(await journals()).toEqual([]);
});

test('a backup that is cancelled while its guardian starts leaves no journal', async () => {
  const { containers, access, stateDir } = world;
  const program = path.join(stateDir, 'never-ready.mjs');
  await writeFile(program, "process.stdin.on('end', () => process.exit()).resume();");
  const host = { ...(await access.host()), putBackProgram: { module: pathToFileURL(program), args: [] } };
  const scope = { ...access, host: async () => host };
  containers.add({ name: 'db' });
  const request: StillRequest = {
    containers: await containers.list(),
    how: 'pause',
    reason: 'back up "data"',
    isPutBackAtOnce: true,
  };
  const controller = new AbortController();
  const made = makeStill(scope, request, { signal: controller.signal });
  await expect.poll(() => readdir(path.join(stateDir, 'journal-apps')).catch(() => [])).toHaveLength(1);
  controller.abort();
  await expect(made).rejects.toThrow();
  expect(containers.calls).toEqual([]);
  expect(await readdir(path.join(stateDir, 'journal-apps'))).toEqual([]);
});

describe('of the planned containers', () => {
  /** A guardian that is ready once `act` is done. */
  const withSlowGuardian = async (act: () => void): Promise<StillWorld['access']> => {
    const { access, stateDir } = world;
    const program = path.join(stateDir, 'slow.mjs');
    const [begun, go] = ['begun', 'go'].map((name) => path.join(stateDir, name));
    await writeFile(
      program,
      `import { existsSync, writeFileSync } from 'node:fs';
      writeFileSync(${JSON.stringify(begun)}, '');
      const timer = setInterval(() => {
        if (!existsSync(${JSON.stringify(go)})) return;
        clearInterval(timer);
        process.stdout.write('ready');
      }, 5);
      process.stdin.on('data', (words) => words.includes('d') && process.exit());
      process.stdin.on('end', () => process.exit());`,
    );
    void (async () => {
      await expect.poll(() => readFile(begun ?? ''), { timeout: 30_000 }).toBeDefined();
      act();
      await writeFile(go ?? '', '');
    })();
    const host = { ...(await access.host()), putBackProgram: { module: pathToFileURL(program), args: [] } };
    return { ...access, host: async () => host };
  };
  const changes = [
    ['pauses', 'pause', { state: 'paused' }],
    ['stops', 'stop', { state: 'exited', finishedAt: '2026-01-01T00:00:00Z' }],
    ['stops', 'pause', { state: 'exited', finishedAt: '2026-01-01T00:00:00Z' }],
  ] as const;

  test.each(changes)(
    'one that its user %s while the guardian of a %s starts stays so',
    async (_, how, change) => {
      const { containers } = world;
      containers.add({ name: 'db' });
      containers.add({ name: 'web' });
      const access = await withSlowGuardian(() => containers.change('db', change));
      const request = { containers: await containers.list(), how, reason: 'back up', isPutBackAtOnce: true };
      const held = await makeStill(access, request, {});
      const [journal = ''] = await journals();
      expect(await readFile(path.join(world.stateDir, 'journal-apps', journal), 'utf8')).not.toContain(
        '"db"',
      );
      expect(held.names).toEqual(['web']);
      await held.release();
      expect(containers.get('db').state).toBe(change.state);
      expect(containers.get('web').state).toBe('running');
    },
  );

  test.each(changes)('one that its user %s just before a %s stays so', async (_, how, change) => {
    const { containers } = world;
    containers.add({ name: 'db' });
    const justBefore = async (): Promise<void> => containers.change('db', change);
    const request = { containers: await containers.list(), how, reason: 'back up', justBefore };
    const held = await makeStill(world.access, request, {});
    expect(held.names).toEqual([]);
    await held.release();
    expect(containers.get('db').state).toBe(change.state);
    expect(containers.calls).toEqual([]);
    expect(await journals()).toEqual([]);
  });

  test('one that ends because another was stopped is started again', async () => {
    addStack();
    const { containers } = world;
    containers.onCall((call, name) => {
      if (call === 'stop' && name === 'shop-web-1')
        containers.change('shop-cache-1', { state: 'exited', finishedAt: new Date().toISOString() });
    });
    await (await still('stop')).release();
    for (const name of ['shop-db-1', 'shop-cache-1', 'shop-web-1'])
      expect(containers.get(name).state).toBe('running');
  });

  test('one that its user pauses just before a pause stays so when the backup is killed', async () => {
    const { containers } = world;
    containers.add({ name: 'db' });
    containers.add({ name: 'web' });
    const justBefore = async (): Promise<void> => containers.change('db', { state: 'paused' });
    const request = {
      containers: await containers.list(),
      how: 'pause',
      reason: 'back up',
      justBefore,
    } as const;
    await (await makeStill(world.access, request, {})).leave();
    const { jobs } = await recoverApps(world.access, {});
    expect(jobs).toMatchObject([{ apps: ['web'], left: [], error: undefined }]);
    expect(containers.get('db').state).toBe('paused');
    expect(containers.get('web').state).toBe('running');
  });
});
