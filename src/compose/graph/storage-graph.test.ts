import { join } from 'node:path';
import { expect, test } from 'vitest';
import { composeFolder, noFacts } from '../../../test/fixtures/compose-folder.ts';
import { explainMounts } from '../explain/explain-mounts.ts';
import { lookAtProject, type ProjectFacts } from '../project-facts.ts';
import { buildGraph } from './storage-graph.ts';

const yaml = `services:
  db:
    image: mongo
    volumes: ['data:/data/db', './gone:/gone:ro', 'nas:/nas']
  web:
    image: web
    volumes: ['/anonymous', 'data:/db:ro', 'bound:/b', 'own:/own']
    tmpfs: ['/cache']
    configs: [{source: app, target: /etc/app.yml}]
configs: {app: {file: ./app.yml}}
volumes:
  data:
  nas: {driver_opts: {type: nfs, o: 'addr=10.0.0.5,rw', device: ':/export'}}
  bound: {driver_opts: {type: none, o: bind, device: /etc}}
  own: {driver: holdfast, driver_opts: {type: luks}}
`;

const engine: Partial<ProjectFacts> = {
  engineFolder: '/var/lib/docker',
  images: new Map([
    ['db', { id: 'sha256:1', user: '', volumes: ['/data/db', '/data/configdb/'], environment: {} }],
  ]),
};

test('the graph has every place once, shared volumes once, and the volumes that only the image declares', async () => {
  using folder = composeFolder({ 'compose.yaml': yaml, 'app.yml': '' });
  const project = await folder.load();
  const seen = await lookAtProject(project, { host: () => Promise.reject(new Error('none')) });
  const { places, volumes, services } = buildGraph(project, { ...seen, ...engine });
  expect(places.map(({ kind, label, isMissing }) => [kind, label, isMissing])).toEqual([
    ['engine', '/var/lib/docker/volumes', false],
    ['folder', './gone', true],
    ['server', 'nfs 10.0.0.5:/export', false],
    ['folder', '/etc', false],
    ['elsewhere', 'driver holdfast', false],
    ['memory', 'memory', false],
    ['folder', './app.yml', false],
  ]);
  expect(volumes.map(({ kind, label }) => [kind, label])).toEqual([
    ['named', 'shop_data'],
    ['named', 'shop_nas'],
    ['anonymous', 'anonymous volume'],
    ['anonymous', 'anonymous volume'],
    ['named', 'shop_bound'],
    ['named', 'shop_own'],
  ]);
  expect(services[0]?.mounts.at(-1)).toEqual({ target: '/data/configdb', from: 'volume3', readOnly: false });
  expect(services[1]?.mounts.find(({ target }) => target === '/db')).toEqual({
    target: '/db',
    from: 'volume1',
    readOnly: true,
  });
});

test('a service has the volumes of another by volumes_from, as far as it has nothing at the same path', async () => {
  using folder = composeFolder({
    'compose.yaml': `services:
  base: {image: base, volumes: ['data:/data', 'logs:/logs'], tmpfs: [/tmp]}
  tool: {image: tool, volumes_from: ['base:ro'], volumes: ['own:/logs']}
  more: {image: more, volumes_from: [tool]}
volumes: {data: , logs: , own: }
`,
  });
  const { services, volumes } = buildGraph(await folder.load(), noFacts);
  const mountsOf = (name: string): unknown =>
    services
      .find(({ label }) => label === name)
      ?.mounts.map(({ target, from, readOnly }) => [
        target,
        volumes.find(({ id }) => id === from)?.label,
        readOnly,
      ]);
  expect(mountsOf('tool')).toEqual([
    ['/logs', 'shop_own', false],
    ['/data', 'shop_data', true],
  ]);
  expect(mountsOf('more')).toEqual([
    ['/logs', 'shop_own', false],
    ['/data', 'shop_data', true],
  ]);
});

test('each mount is explained: where it lies, who writes, what survives, what covers it', async () => {
  using folder = composeFolder({ 'compose.yaml': yaml });
  const project = await folder.load();
  const policies = new Map([['shop_data', { state: 'protected', policies: ['nightly'] } as const]]);
  const mounts = explainMounts(
    project,
    { ...noFacts, ...engine },
    { known: policies, wanted: (volume) => ({ nas: ['nightly'], own: false as const })[volume] },
  );
  const at = (service: string, target: string): unknown =>
    mounts.find((mount) => mount.service === service && mount.target === target);
  expect(at('web', '/db')).toMatchObject({
    kind: 'volume',
    place: 'engine',
    writers: ['db'],
    survivesDown: true,
    survivesDownVolumes: false,
    protection: { policies: ['nightly'] },
  });
  // Removing a volume that binds a folder leaves the folder, and so does one on a server.
  expect(at('web', '/b')).toMatchObject({ place: 'path', where: '/etc', survivesDownVolumes: true });
  expect(at('db', '/nas')).toMatchObject({ place: 'remote', survivesDownVolumes: true });
  expect(at('db', '/nas')).toMatchObject({ protection: { state: 'wanted', policies: ['nightly'] } });
  expect(at('web', '/own')).toMatchObject({ protection: { state: 'left-out' } });
  expect(at('db', '/gone')).toMatchObject({ kind: 'folder', name: join(folder.path, 'gone'), writers: [] });
  expect(at('db', '/data/configdb')).toMatchObject({ kind: 'anonymous', survivesDown: false });
  expect(at('web', '/cache')).toMatchObject({ kind: 'memory', survivesDown: false });
  expect(at('web', '/etc/app.yml')).toMatchObject({ kind: 'config', name: 'app', writers: [] });
});
