import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PrivateEngine, startPrivateEngine } from '../../../docker/private-engine.ts';
import { mountPoints } from '../../../setup/leftovers.ts';
import { type BackgroundProgram, startProgram } from '../background-program.ts';
import { type NfsServer, startNfsServer } from '../nfs-server.ts';
import { login, type SambaServer, startSambaServer } from '../samba-server.ts';
import { command } from '../../../support/holdfast-command.ts';

const driver = `hf${randomBytes(4).toString('hex')}`;
const socket = `/run/docker/plugins/${driver}.sock`;

let engine: PrivateEngine;
let docker: PrivateEngine['docker'];
let plugin: BackgroundProgram;
let nfs: NfsServer;
let samba: SambaServer;

beforeAll(async () => {
  [nfs, samba, engine] = await Promise.all([
    startNfsServer(),
    startSambaServer(),
    startPrivateEngine({ usesMachineNetwork: true }),
  ]);
  docker = engine.docker;
  await engine.importBusybox();
  plugin = await startPlugin();
});

afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  // Nothing can be created in the place of a mount, and nothing removed.
  spawnSync('chattr', ['-R', '-f', '-i', engine.folder]);
  await engine[Symbol.asyncDispose]();
  await samba[Symbol.asyncDispose]();
  await nfs[Symbol.asyncDispose]();
  for (const path of [socket, `${socket}.lock`]) rmSync(path, { force: true });
});

describe.each([
  ['luks', async () => ({ type: 'luks', size: '40m' })],
  [
    'nfs',
    async () => ({
      type: 'nfs',
      o: 'addr=127.0.0.1,rw,nfsvers=4.2',
      device: `:${(await nfs.newExport()).path}`,
    }),
  ],
  [
    'cifs',
    async () => ({ type: 'cifs', device: await samba.newShare(), credentials: `file:${loginFile()}` }),
  ],
])('a volume on the driver %s, through Docker and the plugin', (kind, options) => {
  const name = `a-${kind}-volume`;

  test('is written to by one container and read by the next', async () => {
    const words = Object.entries(await options()).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    await docker(['volume', 'create', '-d', driver, ...words, name]);
    await inContainer(name, 'echo content > /data/file');
    expect(await inContainer(name, 'cat /data/file')).toBe('content');
    expect(mountsOf(name)).toEqual([]);
    expect(await docker(['volume', 'inspect', name])).not.toContain('a pass');
  });

  test('stays under a container when the plugin is killed, and goes after it when the plugin is back', async () => {
    const id = await docker([
      'run',
      '-d',
      '--network=none',
      '-v',
      `${name}:/data`,
      'busybox',
      'sleep',
      '1000',
    ]);
    await plugin.kill();
    expect(await docker(['exec', id, 'sh', '-c', 'echo more >> /data/file; cat /data/file'])).toBe(
      'content\nmore',
    );
    plugin = await startPlugin();
    expect(await docker(['exec', id, 'cat', '/data/file'])).toBe('content\nmore');
    expect(mountsOf(name)).toHaveLength(1);
    await docker(['rm', '-f', id]);
    expect(mountsOf(name)).toEqual([]);
    expect(await inContainer(name, 'cat /data/file')).toBe('content\nmore');
  });

  test('is removed', async () => {
    await docker(['volume', 'rm', name]);
    expect(await docker(['volume', 'ls', '-q'])).not.toContain(name);
  });
});

const inContainer = (volume: string, script: string): Promise<string> =>
  docker(['run', '--rm', '--network=none', '-v', `${volume}:/data`, 'busybox', 'sh', '-c', script]);

const mountsOf = (volume: string): string[] =>
  mountPoints().filter((path) => path.endsWith(`/volumes/${volume}/_data`));

function loginFile(): string {
  const path = join(engine.folder, 'login.txt');
  writeFileSync(path, `username=${login.username}\npassword=${login.password}\n`, { mode: 0o600 });
  return path;
}

/** The real plugin, in its own process that can be killed. */
async function startPlugin(): Promise<BackgroundProgram> {
  const args = ['plugin', '--state-dir', join(engine.folder, 'state'), '--socket', socket];
  const program = await startProgram(command, args);
  for (let attempt = 0; attempt < 600; attempt++) {
    if (program.output().includes('are served to Docker')) return program;
    await sleep(100);
  }
  throw new Error(`The plugin did not start: ${program.output()}`);
}
