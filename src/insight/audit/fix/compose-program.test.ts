import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { stillWorld } from '../../../../test/fixtures/still-world.ts';
import { composeProgram } from './compose-program.ts';

test.each([
  ['unix:///run/podman/podman.sock', 'unix:///run/podman/podman.sock'],
  ['ssh://far', 'unix:///elsewhere.sock'],
])('Compose is run for the engine at %s', async (endpoint, used) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'compose-'));
  const world = await stillWorld();
  try {
    await writeFile(path.join(folder, 'docker'), '#!/bin/sh\necho "db $DOCKER_HOST"\n', { mode: 0o755 });
    vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
    const host = await world.host();
    const there = { info: async () => ({ ...(await host.info()), endpoint }) };
    const compose = composeProgram({ DOCKER_HOST: 'unix:///elsewhere.sock' }, async () => there);
    const service = { stack: 'shop', service: 'db', files: [], envFiles: [], directory: folder };
    expect(await compose.hash(service, undefined, undefined)).toBe(used);
  } finally {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
    await rm(world.stateDir, { recursive: true });
  }
});
