import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Host } from '../host.ts';
import { openAtDockersPlace, type ProbeOptions, probeDocker } from './engine-probe.ts';

/** The requests to an engine from the probe to the first list of volumes, and the number of connections. */
async function askedOf(
  open: (options: ProbeOptions) => Promise<Host | undefined>,
  headers: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'probe-'));
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  const socketPath = join(folder, 'engine.sock');
  const asked: string[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const answer = request.url === '/_ping' ? 'OK' : request.url?.includes('/containers/') ? '[]' : '{}';
    response.writeHead(200, { 'Api-Version': '1.44', ...headers }).end(answer);
  });
  server.on('connection', () => (connections += 1));
  server.listen(socketPath);
  await once(server, 'listening');
  const address = `unix://${socketPath}`;
  await using _server = {
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
  await using host = await open({ endpoint: { kind: 'unix', socketPath, address, explicit: true } });
  await host?.findVolume('');
  return { kind: host?.kind, asked, connections };
}

test.each([
  { name: 'openAtDockersPlace', open: openAtDockersPlace },
  { name: 'probeDocker', open: probeDocker },
])('`$name()` pings the engine once, and its host asks over the same connection', async ({ open }) => {
  const asked = ['/_ping', expect.stringContaining('/v1.44/containers/json')];
  expect(await askedOf(open)).toEqual({ kind: 'docker', asked, connections: 1 });
  const podman = { 'Libpod-API-Version': '5.4.2' };
  expect(await askedOf(open, podman)).toEqual({ kind: 'podman', asked, connections: 1 });
});
