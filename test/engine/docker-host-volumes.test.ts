import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Host } from '../../src/hosts/host.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';

let engine: PrivateEngine;
let host: Host;
const warnings: string[] = [];
beforeAll(async () => {
  engine = await startPrivateEngine({ hasPluginFolder: true });
  await engine.importBusybox();
  host = await openDockerHost({
    env: { DOCKER_HOST: engine.dockerHost },
    onWarning: (warning) => void warnings.push(warning),
  });
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

const startBusybox = (name: string, args: readonly string[]) =>
  engine.docker(['run', '-d', '--name', name, ...args, 'busybox', 'sleep', '1000']);

/** Runs to its end, and waits until the engine's list shows that, which lags behind on a busy machine. */
const runToEnd = async (name: string, args: readonly string[]): Promise<void> => {
  await engine.docker(['run', '--name', name, ...args, 'busybox', 'true']);
  await expect
    .poll(() => engine.docker(['ps', '-aq', '--filter', `name=${name}`, '--filter', 'status=exited']))
    .not.toBe('');
};

test('the consumers of a volume are listed with state, path and write access', async () => {
  await startBusybox('c-run', ['-v', 'c-vol:/var/lib/data']);
  await startBusybox('c-ro', ['-v', 'c-vol:/ro:ro']);
  await engine.docker(['pause', 'c-ro']);
  await engine.docker([
    'create',
    '--name',
    'c-new',
    '-v',
    'c-vol:/a',
    '--mount',
    'type=volume,src=c-vol,dst=/b',
    'busybox',
    'true',
  ]);
  await runToEnd('c-done', ['-v', 'c-vol:/x']);
  const volume = await host.findVolume('c-vol');
  expect(
    volume?.consumers.map(({ name, state, path, readOnly, image }) => [name, state, path, readOnly, image]),
  ).toEqual([
    ['c-done', 'exited', '/x', false, 'busybox'],
    ['c-new', 'created', '/a', false, 'busybox'],
    ['c-new', 'created', '/b', false, 'busybox'],
    ['c-ro', 'paused', '/ro', true, 'busybox'],
    ['c-run', 'running', '/var/lib/data', false, 'busybox'],
  ]);
  expect((await host.listVolumes()).find(({ name }) => name === 'c-vol')).toEqual(volume);
});

test('a volume named like the path of a mount elsewhere does not get its consumers', async () => {
  await engine.docker(['volume', 'create', 'data']);
  await engine.docker(['create', '--name', 'd-other', '-v', 'd-vol:/data', 'busybox', 'true']);
  expect((await host.findVolume('data'))?.consumers).toEqual([]);
});

test('a Compose project is the stack of its volumes and of its services', async () => {
  const project = join(engine.folder, 'shop');
  await mkdir(project);
  await writeFile(
    join(project, 'compose.yaml'),
    'services:\n  db:\n    image: busybox\n    command: sleep 1000\n    network_mode: none\n    volumes: ["pg:/var/lib/postgresql/data", "/scratch"]\nvolumes:\n  pg: {}\n',
  );
  await engine.docker(['compose', '--project-directory', project, 'up', '-d', '--pull', 'never']);
  const volume = await host.findVolume('shop_pg');
  expect(volume).toMatchObject({ stack: 'shop', anonymous: false });
  expect(volume?.labels['com.docker.compose.volume']).toBe('pg');
  expect(volume?.consumers).toMatchObject([
    { name: 'shop-db-1', stack: 'shop', service: 'db', state: 'running' },
  ]);
  const anonymous = (await host.listVolumes()).filter(({ consumers }) =>
    consumers.some(({ path }) => path === '/scratch'),
  );
  expect(anonymous).toMatchObject([{ anonymous: true, driver: 'local' }]);
});

test('volumes of all kinds are listed with their options', async () => {
  const options = ['--opt', 'type=nfs', '--opt', 'device=:/export', '--opt', 'o=addr=192.0.2.1,rw'];
  await engine.docker(['volume', 'create', ...options, 'k-nfs']);
  const volumes = await host.listVolumes();
  expect(volumes.find(({ name }) => name === 'k-nfs')).toMatchObject({
    options: { type: 'nfs', device: ':/export', o: 'addr=192.0.2.1,rw' },
    driver: 'local',
    mountpoint: engine.volumePath('k-nfs'),
  });
});

test('every mount of every container is listed: volumes, bind mounts and both kinds of tmpfs', async () => {
  const place = join(engine.folder, 'bound');
  await mkdir(place);
  await startBusybox('m-all', [
    ...[
      '-v',
      'm-vol:/v',
      '-v',
      `${place}:/b:ro`,
      '--tmpfs',
      '/t1:ro,size=1m',
      '--mount',
      'type=tmpfs,dst=/t2',
    ],
  ]);
  const mounts = (await host.listMounts()).filter(({ consumer }) => consumer.name === 'm-all');
  expect(
    mounts.map(({ type, source, destination, readOnly, driver }) => [
      type,
      source,
      destination,
      readOnly,
      driver,
    ]),
  ).toEqual([
    ['bind', place, '/b', true, undefined],
    ['tmpfs', undefined, '/t1', true, undefined],
    ['tmpfs', undefined, '/t2', false, undefined],
    ['volume', 'm-vol', '/v', false, 'local'],
  ]);
  expect(mounts[0]?.consumer).toMatchObject({ state: 'running', path: '/b', readOnly: true });
});

test('a helper that streams a volume is no consumer and is not listed', async () => {
  await engine.docker(['volume', 'create', 'h-vol']);
  await using stream = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost }, dataWay: 'stream' });
  {
    await using data = await stream.openData('h-vol');
    expect(data.way).toBe('stream');
    expect(await engine.docker(['ps', '-aq', '--filter', 'volume=h-vol'])).not.toBe('');
    expect((await host.findVolume('h-vol'))?.consumers).toEqual([]);
    expect((await host.listMounts()).filter(({ source }) => source === 'h-vol')).toEqual([]);
  }
  expect(await engine.docker(['ps', '-aq', '--filter', 'volume=h-vol'])).toBe('');
});

test('a running container that calls itself a helper is a consumer', async () => {
  await startBusybox('holdfast-helper-false', ['--label', 'holdfast.helper=true', '-v', 'f-vol:/v']);
  expect((await host.findVolume('f-vol'))?.consumers).toMatchObject([{ name: 'holdfast-helper-false' }]);
});

test('removing a volume in use names its holders, and removes nothing', async () => {
  await startBusybox('u-web', ['-v', 'u-vol:/v']);
  await runToEnd('u-job', ['-v', 'u-vol:/v']);
  await expect(host.removeVolume('u-vol')).rejects.toMatchObject({
    code: 'in-use',
    message: 'Cannot remove volume "u-vol": it is in use by "u-job" (exited), "u-web" (running)',
  });
  expect(await host.findVolume('u-vol')).toBeDefined();
});

test('a volume held by the helper of a dead process can be removed, and one held by a live helper says why not', async () => {
  await engine.docker(['volume', 'create', 's-vol']);
  await using stream = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost }, dataWay: 'stream' });
  {
    await using _ = await stream.openData('s-vol');
    await expect(host.removeVolume('s-vol')).rejects.toMatchObject({
      code: 'in-use',
      hint: expect.stringContaining('backup') as string,
    });
  }
  await makeHelperOfDeadProcess('s-vol');
  await host.removeVolume('s-vol');
  expect(await host.findVolume('s-vol')).toBeUndefined();
});

test('helpers of dead processes are removed when data is opened, and those of live ones stay', async () => {
  await engine.docker(['volume', 'create', 't-vol']);
  const dead = await makeHelperOfDeadProcess('t-vol');
  const open = { env: { DOCKER_HOST: engine.dockerHost }, dataWay: 'stream' } as const;
  await using first = await openDockerHost(open);
  await using _data = await first.openData('t-vol');
  await using second = await openDockerHost(open);
  await using _other = await second.openData('t-vol');
  const helpers = await engine.docker([
    'ps',
    '-aq',
    '--no-trunc',
    '--filter',
    'label=holdfast.helper=true',
    '--filter',
    'status=created',
  ]);
  expect(helpers.split('\n')).toHaveLength(2);
  expect(helpers).not.toContain(dead);
});

test('creating a volume that exists with other options says how it differs', async () => {
  const options = { type: 'tmpfs', device: 'tmpfs', o: 'size=10m' };
  await host.createVolume({ name: 'o-vol', driver: 'local', labels: {}, options });
  const spec = { name: 'o-vol', driver: 'local', labels: {}, options: { ...options, o: 'size=20m' } };
  await expect(host.createVolume(spec)).rejects.toMatchObject({
    code: 'conflict',
    detail: expect.stringMatching(/"o".*size=10m.*size=20m/) as string,
  });
});

test.each([
  [{ type: 'nfs' }, 'usage', /missing required option/],
  [{ size: '10m' }, 'usage', /quota/],
  [{ colour: 'red' }, 'usage', /invalid option/],
])('options %j that the driver refuses are refused with its words', async (options, code, words) => {
  const spec = { name: 'bad-options', driver: 'local', labels: {}, options };
  await expect(host.createVolume(spec)).rejects.toMatchObject({
    code,
    message: 'Cannot create volume "bad-options"',
    detail: expect.stringMatching(words) as string,
  });
  expect(await host.findVolume('bad-options')).toBeUndefined();
});

test('a failing volume driver is a warning, and its volumes stay on the list', async () => {
  const name = `hfp${engine.pid}`;
  const plugin = await startVolumePlugin(name);
  try {
    await engine.docker(['volume', 'create', '-d', name, 'p-vol']);
    await engine.docker(['create', '--name', 'p-user', '-v', 'p-vol:/v', 'busybox', 'true']);
    expect((await host.findVolume('p-vol'))?.driver).toBe(name);
    plugin.fail();
    warnings.length = 0;
    const volume = (await host.listVolumes()).find((one) => one.name === 'p-vol');
    expect(volume).toMatchObject({ driver: name, consumers: [{ name: 'p-user' }] });
    expect(warnings.join()).toContain(name);
    plugin.mend();
    await engine.docker(['rm', 'p-user']);
    await engine.docker(['volume', 'rm', 'p-vol']);
  } finally {
    await plugin.close();
  }
});

async function makeHelperOfDeadProcess(volume: string): Promise<string> {
  // A child that opens the data and is killed, as in a crash.
  const script = `
    import { openDockerHost } from ${JSON.stringify(join(import.meta.dirname, '../../src/hosts/docker/docker-host.ts'))};
    const host = await openDockerHost({ dataWay: 'stream' });
    await host.openData(${JSON.stringify(volume)});
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, DOCKER_HOST: engine.dockerHost },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  const id = await engine.docker(['ps', '-aq', '--no-trunc', '--filter', `volume=${volume}`]);
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  return id;
}

interface VolumePlugin {
  fail(): void;
  mend(): void;
  close(): Promise<void>;
}

/** Starts a volume plugin that the engine finds. */
async function startVolumePlugin(name: string): Promise<VolumePlugin> {
  const socket = join(engine.pluginFolder, `${name}.sock`);
  const volumes = new Set<string>();
  let isFailing = false;
  const answer = (path: string, body: { readonly Name?: string }): unknown => {
    if (path === '/Plugin.Activate') return { Implements: ['VolumeDriver'] };
    if (path === '/VolumeDriver.Capabilities') return { Capabilities: { Scope: 'local' } };
    if (isFailing) return { Err: 'the storage is away' };
    if (path === '/VolumeDriver.Create') volumes.add(body.Name ?? '');
    if (path === '/VolumeDriver.Remove') volumes.delete(body.Name ?? '');
    if (path === '/VolumeDriver.List') return { Volumes: [...volumes].map((one) => ({ Name: one })) };
    if (path === '/VolumeDriver.Get')
      return volumes.has(body.Name ?? '') ? { Volume: { Name: body.Name } } : { Err: 'no such volume' };
    return {};
  };
  const server: Server = createServer((request, response) => {
    void (async () => {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      response.end(JSON.stringify(answer(request.url ?? '', JSON.parse(text || '{}') as { Name?: string })));
    })();
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    fail: () => void (isFailing = true),
    mend: () => void (isFailing = false),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(socket, { force: true });
    },
  };
}
