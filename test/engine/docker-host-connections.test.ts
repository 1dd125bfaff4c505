import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import type { DockerEndpoint } from '../../src/hosts/docker/endpoint.ts';
import { probeDocker } from '../../src/hosts/docker/engine-probe.ts';
import { type Certificates, makeCertificates } from '../docker/certificates.ts';
import { freePort } from '../docker/free-port.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { hasSshServer, type SshServer, startSshServer } from '../docker/ssh-server.ts';

let folder: string;
let certificates: Certificates;
let others: Certificates;
let tlsPort: number;
let plainPort: number;
let engine: PrivateEngine;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'connections-'));
  certificates = await makeCertificates(join(folder, 'certificates'));
  others = await makeCertificates(join(folder, 'others'));
  [tlsPort, plainPort] = [await freePort(), await freePort()];
  const pem = (name: string): string => join(certificates.server, name);
  engine = await startPrivateEngine({
    usesMachineNetwork: true,
    args: [
      ...['-H', `tcp://127.0.0.1:${tlsPort}`, '--tlsverify', '--tlscacert', pem('ca.pem')],
      ...['--tlscert', pem('server-cert.pem'), '--tlskey', pem('server-key.pem')],
    ],
  });
  await engine.docker(['volume', 'create', 'far']);
  await writeFile(join(engine.volumePath('far'), 'file'), Buffer.alloc(5 << 20, 'x'));
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const unix = (socketPath: string): DockerEndpoint => ({
  kind: 'unix',
  socketPath,
  address: `unix://${socketPath}`,
  explicit: false,
});

async function list(env: Readonly<Record<string, string>>): Promise<string[]> {
  await using host = await openDockerHost({ env: { HOME: folder, ...env }, connectTimeoutMs: 1000 });
  return (await host.listVolumes()).map(({ name }) => name);
}

/** Expects the volume's exact bytes from a remote engine. */
async function expectStreamed(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  await using host = await openDockerHost({ env: { HOME: folder, ...env } });
  expect((await host.info()).name).not.toBe('');
  await using data = await host.openData('far', { write: true });
  if (data.way !== 'stream') throw new Error('The data of an engine at another place was opened directly.');
  const archive = await buffer(await data.readTar(''));
  expect(archive.length).toBeGreaterThan(5 << 20);
  await data.writeTar(
    '',
    (async function* () {
      yield archive;
    })(),
  );
}

describe('over TLS', () => {
  const tls = (place: Certificates) => ({
    DOCKER_HOST: `tcp://localhost:${tlsPort}`,
    DOCKER_TLS_VERIFY: '1',
    DOCKER_CERT_PATH: place.client,
  });

  test('an engine is used, and its data streamed both ways', async () => {
    expect(await list(tls(certificates))).toEqual(['far']);
    expect(await list({ ...tls(certificates), DOCKER_HOST: `https://127.0.0.1:${tlsPort}` })).toEqual([
      'far',
    ]);
    await expectStreamed(tls(certificates));
  });

  test('an engine with a certificate of another authority is not trusted', async () => {
    await expect(list(tls(others))).rejects.toMatchObject({
      code: 'unavailable',
      message: `Cannot reach Docker at "tcp://localhost:${tlsPort}": its certificate cannot be trusted`,
      hint: expect.stringContaining('ca.pem') as string,
    });
  });

  test('an engine with a certificate for another name is not trusted', async () => {
    const env = { ...tls(certificates), DOCKER_HOST: `tcp://127.0.0.2:${tlsPort}` };
    await expect(list(env)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('without a client certificate the engine refuses, and the error says what is missing', async () => {
    const bare = await mkdtemp(join(folder, 'bare-'));
    await copyFile(join(certificates.client, 'ca.pem'), join(bare, 'ca.pem'));
    await expect(list({ ...tls(certificates), DOCKER_CERT_PATH: bare })).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining('does not accept our certificate') as string,
    });
  });

  test('plain HTTP on a TLS port says what to set', async () => {
    await expect(list({ DOCKER_HOST: `tcp://localhost:${tlsPort}` })).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('DOCKER_TLS_VERIFY') as string,
    });
  });

  test('a port without a listener is unavailable', async () => {
    await expect(list({ DOCKER_HOST: `tcp://127.0.0.1:${plainPort}` })).rejects.toMatchObject({
      code: 'unavailable',
      message: `Cannot reach Docker at "tcp://127.0.0.1:${plainPort}": connection refused`,
    });
  });
});

describe.skipIf(!hasSshServer)('over ssh', () => {
  let server: SshServer;
  let path: string | undefined;
  beforeEach(async () => {
    server = await startSshServer(await mkdtemp(join(folder, 'ssh-')));
    path = process.env['PATH'];
    process.env['PATH'] = `${server.path}:${path ?? ''}`;
  });
  afterEach(async () => {
    process.env['PATH'] = path;
    await server[Symbol.asyncDispose]();
  });
  const address = () => ({ DOCKER_HOST: `ssh://127.0.0.1:${server.port}${engine.socket}` });

  test('an engine is used, and its data streamed both ways', async () => {
    expect(await list(address())).toEqual(['far']);
    await expectStreamed(address());
    expect(await engine.docker(['ps', '-aq'])).toBe('');
  });

  test('an unknown server is not trusted, and there is no prompt', async () => {
    await server.forgetServer();
    await expect(list(address())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('Host key verification failed') as string,
    });
  });

  test('a login that ssh refuses is reported in the words of ssh', async () => {
    const env = { DOCKER_HOST: `ssh://nobody@127.0.0.1:${server.port}` };
    await expect(list(env)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/Permission denied|not allowed|Connection closed/) as string,
    });
  });

  test('a missing remote engine is reported in the words of the remote side', async () => {
    const env = { DOCKER_HOST: `ssh://127.0.0.1:${server.port}/nowhere.sock` };
    await expect(list(env)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('nowhere.sock') as string,
    });
  });
});

describe('a socket', () => {
  const servers: { close(): unknown }[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const listen = async <T extends Server>(server: T, name: string): Promise<string> => {
    const socket = join(folder, name);
    server.listen(socket);
    servers.push(server);
    await once(server, 'listening');
    return socket;
  };

  test('that does not exist is unavailable, with what to do', async () => {
    await expect(list({ DOCKER_HOST: 'unix:///nowhere/docker.sock' })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'Cannot reach Docker at "unix:///nowhere/docker.sock": no such socket',
      hint: expect.stringContaining('Is the engine running?') as string,
    });
    expect(await probeDocker({ endpoint: unix('/nowhere/docker.sock') })).toBeUndefined();
    await expect(probeDocker({ env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' } })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  test('that an engine left behind is unavailable', async () => {
    const socket = join(folder, 'stale.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await once(spawn(process.execPath, ['-e', script]), 'exit');
    await expect(list({ DOCKER_HOST: `unix://${socket}` })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('nothing listens') as string,
    });
    expect(await probeDocker({ endpoint: unix(socket) })).toBeUndefined();
  });

  test.runIf(process.geteuid?.() === 0)(
    'that refuses this user is denied, with the group to join, also for reading',
    async () => {
      await chmod(engine.socket, 0o600);
      process.seteuid?.(65_534);
      try {
        const denied = {
          code: 'denied',
          message: `Cannot use Docker at "${engine.dockerHost}": permission denied`,
          hint: expect.stringContaining('group "docker"') as string,
        };
        await expect(list({ DOCKER_HOST: engine.dockerHost })).rejects.toMatchObject(denied);
        await expect(probeDocker({ endpoint: unix(engine.socket) })).rejects.toMatchObject(denied);
      } finally {
        process.seteuid?.(0);
      }
    },
  );

  test('whose listener never answers times out', async () => {
    const sockets: { destroy(): void }[] = [];
    const socket = await listen(
      createServer((one) => void sockets.push(one)),
      'hung.sock',
    );
    const start = Date.now();
    await expect(list({ DOCKER_HOST: `unix://${socket}` })).rejects.toMatchObject({
      code: 'unavailable',
      message: `Cannot reach Docker at "unix://${socket}": no answer within 1 s`,
    });
    await expect(probeDocker({ endpoint: unix(socket) })).rejects.toMatchObject({ code: 'unavailable' });
    expect(Date.now() - start).toBeLessThan(30_000);
    for (const one of sockets) one.destroy();
  });

  test('where something other than an engine answers is unavailable', async () => {
    const web = await listen(
      createHttpServer((_, response) => response.end('hello')),
      'web.sock',
    );
    await expect(list({ DOCKER_HOST: `unix://${web}` })).rejects.toMatchObject({
      code: 'unavailable',
      message: `What answers at "unix://${web}" is not a Docker engine`,
    });
    const echo = await listen(
      createServer((one) => one.pipe(one)),
      'echo.sock',
    );
    await expect(list({ DOCKER_HOST: `unix://${echo}` })).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('of an old engine is unsupported', async () => {
    const old = createHttpServer((_, response) => response.setHeader('Api-Version', '1.24').end('OK'));
    const socket = await listen(old, 'old.sock');
    await expect(list({ DOCKER_HOST: `unix://${socket}` })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('1.24') as string,
    });
  });

  test('can be looked for', async () => {
    await using host = await probeDocker({ endpoint: unix(engine.socket) });
    expect((await host?.info())?.identity).toMatch(/^[0-9a-f-]{36}$/);
  });
});
