import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { stillWorld } from '../../../../test/fixtures/still-world.ts';
import type { AppError } from '../../../model/errors.ts';
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
    const compose = composeProgram({
      env: { DOCKER_HOST: 'unix:///elsewhere.sock' },
      host: async () => there,
      stateDir: world.stateDir,
    });
    const service = { stack: 'shop', service: 'db', files: [], envFiles: [], directory: folder };
    expect(await compose.hash(service, undefined, undefined)).toBe(used);
  } finally {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
    await rm(world.stateDir, { recursive: true });
  }
});

test('a Compose that fails is told by its last lines', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'compose-'));
  const world = await stillWorld();
  try {
    const script = `#!/bin/sh
case " $* " in *" up "*) seq 100000; echo "no room for it" >&2; exit 1;; esac
`;
    await writeFile(path.join(folder, 'docker'), script, { mode: 0o755 });
    vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
    const compose = composeProgram({ env: {}, host: world.host, stateDir: world.stateDir });
    const service = { stack: 'shop', service: 'db', files: [], envFiles: [], directory: folder };
    using prepared = compose.prepareUp(service);
    const error: unknown = await prepared.up().catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: 'failed', message: 'Compose failed for "db"' });
    expect((error as AppError).detail).toMatch(/^\d*\n(\d+\n)+99999\n100000\nno room for it$/);
    expect(await readdir(world.stateDir)).toEqual([]);
  } finally {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
    await rm(world.stateDir, { recursive: true });
  }
});
