import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Container, ContainerMount } from '../hosts/containers.ts';
import { AppError } from '../model/errors.ts';
import { isOfMachine, listBindMounts, planBindMounts } from './bind-mounts.ts';

const bind = (source: string): ContainerMount => ({
  type: 'bind',
  source,
  destination: '/data',
  readOnly: false,
});

const container = (name: string, stack: string | undefined, sources: readonly string[]): Container =>
  ({ id: `id-${name}`, name, stack, labels: {}, mounts: sources.map(bind) }) as unknown as Container;

const places = { stateDir: '/var/lib/holdfast', host: { dataRoot: '/srv/docker' } };

test('each source is listed once with its containers, and belongs to the only stack that mounts it', () => {
  const containers = [
    container('shop-web-1', 'shop', ['/srv/site', '/srv/shared/']),
    container('shop-php-1', 'shop', ['/srv/site']),
    container('backup', undefined, ['/srv/shared']),
  ];
  expect(planBindMounts(containers, places)).toEqual([
    { source: '/srv/shared', containers: ['shop-web-1', 'backup'], stack: undefined, leftOut: undefined },
    { source: '/srv/site', containers: ['shop-web-1', 'shop-php-1'], stack: 'shop', leftOut: undefined },
  ]);
});

test.each([
  '/',
  '/proc',
  '/sys/fs/cgroup',
  '/dev/snd',
  '/etc/localtime',
  '/lib/modules',
  '/var/run/docker.sock',
  '/run/user/1000/bus',
  '/opt/app/app.sock',
  '/var/lib/docker/containers',
  '/etc',
  '/var/lib',
])('"%s" is of the machine and never taken', (source) => {
  expect(isOfMachine(source)).toBe(true);
  expect(planBindMounts([container('a', undefined, [source])], places)).toMatchObject([
    { leftOut: 'it is of the machine, not of the application' },
  ]);
});

test.each([
  '/etc/app',
  '/var/lib/app',
  '/srv',
  '/home/ada/site',
  '/usr/local/app',
  '/developer',
  '/procurement',
])('"%s" can be data', (source) => {
  expect(isOfMachine(source)).toBe(false);
});

test('what the engine or Holdfast keeps is excluded, and so is a directory that contains the engine', () => {
  const sources = ['/srv/docker/volumes/x/_data', '/srv', '/var/lib/holdfast/volumes/v', '/srv/dockerfiles'];
  const found = planBindMounts([container('a', undefined, sources)], places);
  expect(found.map(({ source, leftOut }) => [source, leftOut])).toEqual([
    ['/srv', 'the container engine keeps its own data there'],
    ['/srv/docker/volumes/x/_data', 'the container engine keeps its own data there'],
    ['/srv/dockerfiles', undefined],
    ['/var/lib/holdfast/volumes/v', 'Holdfast keeps its own data there'],
  ]);
  expect(found.filter(({ mayHoldData }) => mayHoldData).map(({ source }) => source)).toEqual(['/srv']);
});

test('the paths of an engine on another machine do not count here', () => {
  const host = { dataRoot: '/var/lib/docker', isRemote: true };
  expect(planBindMounts([container('a', undefined, ['/srv/site'])], { ...places, host })).toEqual([]);
});

test('a socket is excluded by its type, under any name; a file, a missing path, and a link to a file are not', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'binds-'));
  const server = createServer();
  try {
    server.listen(path.join(folder, 'control'));
    await once(server, 'listening');
    await writeFile(path.join(folder, 'app.conf'), 'a');
    await symlink('app.conf', path.join(folder, 'linked.conf'));
    const sources = ['control', 'gone', 'linked.conf'].map((name) => path.join(folder, name));
    const found = await listBindMounts([container('a', undefined, sources)], places);
    expect(found.map(({ source, leftOut }) => [path.basename(source), leftOut])).toEqual([
      ['control', 'it is neither a directory nor a file'],
      ['gone', undefined],
      ['app.conf', undefined],
    ]);
    expect(found.map(({ at }) => at && path.basename(at.path))).toEqual([undefined, undefined, 'app.conf']);
  } finally {
    server.close();
    await once(server, 'close');
    await rm(folder, { recursive: true });
  }
});

test('what lies on a server that does not answer is not looked at: the process would hang', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'binds-'));
  try {
    const [away, here] = [path.join(folder, 'away'), path.join(folder, 'here')];
    await writeFile(path.join(folder, 'file'), 'a');
    for (const link of [away, here]) await symlink('file', link);
    const ask = async (place: string): Promise<void> => {
      if (place === away) throw new AppError('unavailable', 'It is away');
    };
    const found = await listBindMounts([container('a', undefined, [away, here])], places, ask);
    expect(found.map(({ source, leftOut }) => [source, leftOut])).toEqual([
      [away, undefined],
      [path.join(folder, 'file'), undefined],
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
