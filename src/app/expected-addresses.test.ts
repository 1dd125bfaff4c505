import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { AppConfig } from './app-config.ts';
import { expectedAddresses } from './expected-addresses.ts';

const docker = 'unix:///var/run/docker.sock';
const podman = 'unix:///run/user/7/podman/podman.sock';
const far = 'ssh://far';

const home = mkdtempSync(join(tmpdir(), 'expected-addresses-'));
afterAll(() => rmSync(home, { recursive: true }));

async function addressesOf(host: AppConfig['host'], more: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const env = { HOME: home, XDG_RUNTIME_DIR: '/run/user/7', ...more };
  return (await expectedAddresses({ host, env })).map((address) =>
    // Root's Podman has a place of its own.
    address === 'unix:///run/podman/podman.sock' ? podman : address,
  );
}

test('without a word of the user, the volumes may be at each engine of the machine, or be managed ones', async () => {
  expect(await addressesOf(undefined)).toEqual([docker, podman, '']);
  expect(await addressesOf('auto')).toEqual([docker, podman, '']);
  expect(await addressesOf('docker')).toEqual([docker]);
  expect(await addressesOf('podman')).toEqual([podman]);
  expect(await addressesOf('embedded', { DOCKER_HOST: far })).toEqual(['']);
});

test('an engine that the user names is the last that is asked', async () => {
  expect(await addressesOf(undefined, { DOCKER_HOST: far })).toEqual([far]);
  expect(await addressesOf('docker', { DOCKER_HOST: far, CONTAINER_HOST: 'ssh://third' })).toEqual([far]);
  expect(await addressesOf(undefined, { CONTAINER_HOST: far })).toEqual([docker, far]);
  expect(await addressesOf('podman', { CONTAINER_HOST: far, DOCKER_HOST: 'ssh://third' })).toEqual([far]);
});

test('an address that cannot be read ends the list, and one that comes after the host is not read', async () => {
  const bad = { CONTAINER_HOST: 'npipe:////./pipe/podman' };
  expect(await addressesOf(undefined, bad)).toEqual([docker]);
  expect(await addressesOf(undefined, { ...bad, DOCKER_HOST: far })).toEqual([far]);
  writeFileSync(join(home, 'config.json'), JSON.stringify({ currentContext: 'gone' }));
  expect(await addressesOf(undefined, { DOCKER_CONFIG: home })).toEqual([]);
});
