import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Host } from '../host.ts';
import { openDockerHost } from './docker-host.ts';

const noPlugin = 'get gone: error looking up volume plugin rclone: plugin "rclone" not found';

/** What an engine answers whose plugin "rclone" was removed, by the method and the path below its version. */
const answers: Readonly<Record<string, readonly [number, unknown]>> = {
  'GET /volumes/gone': [404, { message: noPlugin }],
  'DELETE /volumes/gone': [404, { message: noPlugin }],
  'GET /volumes/none': [404, { message: 'get none: no such volume' }],
  'DELETE /volumes/none': [404, { message: 'get none: no such volume' }],
};

async function askEngine(
  lists: Readonly<Record<string, unknown>>,
  work: (host: Host) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'));
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  const socketPath = join(folder, 'engine.sock');
  const server = createServer((request, response) => {
    const path = request.url?.replace(/^\/v[\d.]+|\?.*$/g, '') ?? '';
    const [status, answer] = answers[`${request.method} ${path}`] ?? [200, lists[path] ?? []];
    response.writeHead(status, { 'Api-Version': '1.44' }).end(JSON.stringify(answer));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  await using _server = {
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
  const endpoint = { kind: 'unix', socketPath, address: `unix://${socketPath}`, explicit: true } as const;
  await using host = await openDockerHost({ endpoint });
  await work(host);
}

test('a volume whose plugin is gone is neither missing nor removed, and what brings it back is said', async () => {
  await askEngine({}, async (host) => {
    const refusal = { code: 'conflict', detail: expect.stringContaining('"rclone" not found') };
    await expect(host.findVolume('gone')).rejects.toMatchObject(refusal);
    await expect(host.openData('gone')).rejects.toMatchObject(refusal);
    await expect(host.removeVolume('gone')).rejects.toMatchObject(refusal);
    expect(await host.findVolume('none')).toBeUndefined();
    await expect(host.removeVolume('none')).rejects.toMatchObject({ code: 'not-found' });
  });
});

function containerOf(driver: string, state: string) {
  const name = `${driver}-${state}`;
  const mount = { Type: 'volume', Name: name, Driver: driver, Destination: '/data', RW: true };
  return { Id: Buffer.from(name).toString('hex'), Names: [`/${name}`], State: state, Mounts: [mount] };
}

test('a volume that containers alone name is listed, but not where its driver lists others and none of them runs', async () => {
  const drivers = ['sshfs', 'rclone', 'local'];
  const lists = {
    '/volumes': { Volumes: [{ Name: 'other', Driver: 'sshfs' }], Warnings: null },
    '/containers/json': drivers.flatMap((driver) => [
      containerOf(driver, 'exited'),
      containerOf(driver, 'running'),
    ]),
  };
  await askEngine(lists, async (host) => {
    expect((await host.listVolumes()).map(({ name }) => name)).toEqual([
      ...['other', 'rclone-exited', 'rclone-running', 'sshfs-running'],
    ]);
  });
});
