import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { nfsDriver, nfsMount, nfsTarget } from './nfs.ts';

const nfs = (options: Record<string, string>): Record<string, string> => ({ type: 'nfs', ...options });

describe('the options of nfs', () => {
  test.each([
    [
      { o: 'addr=10.0.0.5,rw', device: ':/export' },
      { source: '10.0.0.5:/export', type: 'nfs', words: ['rw', 'retry=0'] },
    ],
    [
      {
        o: 'addr=fs-1.efs.eu-west-1.amazonaws.com,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport',
        device: ':/',
      },
      {
        source: 'fs-1.efs.eu-west-1.amazonaws.com:/',
        type: 'nfs',
        words: [
          'nfsvers=4.1',
          'rsize=1048576',
          'wsize=1048576',
          'hard',
          'timeo=600',
          'retrans=2',
          'noresvport',
          'retry=0',
        ],
      },
    ],
    [
      { type: 'nfs4', device: 'nas:/a b' },
      { source: 'nas:/a b', type: 'nfs4', words: ['retry=0'] },
    ],
    [
      { device: '[fe80::1]:/x', o: 'bg' },
      { source: '[fe80::1]:/x', type: 'nfs', words: ['bg'] },
    ],
  ])('%j is mounted as %j', (options, mount) => {
    expect(nfsMount(nfsDriver.check(nfs(options)))).toEqual(mount);
  });

  test.each([
    [{}, 'missing required option: "device"'],
    [{ device: '/export' }, 'is not SERVER:/PATH'],
    [{ device: 'nas:export' }, 'is not SERVER:/PATH'],
    [{ device: ':/export', o: 'rw' }, 'It is not said which server'],
    [{ device: 'nas:/x', o: 'nfsvers=5' }, 'There is no NFS version "5"'],
    [{ device: 'nas:/x', o: 'port=x' }, 'invalid port'],
    [{ device: 'nas:/x', size: '1g' }, 'invalid option: "size"'],
    [{ device: 'nas:/x', wait: 'long' }, 'no number of seconds'],
  ])('%j is refused: %s', (options, words) => {
    expect(() => nfsDriver.check(nfs(options))).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(words) as string }) as Error,
    );
  });

  test.each([
    [{ device: 'nas:/x' }, [4, 3]],
    [{ device: 'nas:/x', o: 'nfsvers=3' }, [3]],
    [{ device: 'nas:/x', o: 'vers=4.2' }, [4]],
    [{ device: 'nas:/x', type: 'nfs4' }, [4]],
  ])('%j asks for the versions %j', (options, versions) => {
    expect(nfsTarget(nfs(options)).versions).toEqual(versions);
  });
});

describe('a server of nfs', () => {
  const servers: { close(): void }[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  const listen = async (answer: (socket: Socket, request: Buffer) => void): Promise<number> => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('data', (request) => answer(socket, request)).on('error', () => undefined);
    });
    servers.push({
      close() {
        server.close();
        for (const socket of sockets) socket.destroy();
      },
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  };
  const volume = (port: number, more = '') => ({
    name: 'some-volume',
    options: nfs({ device: '127.0.0.1:/x', o: `port=${port}${more}` }),
    folder: '/nowhere',
    mountpoint: '/nowhere/_data',
  });
  /** Accepted, or a version that does not exist. */
  const reply = (request: Buffer, status: number): Buffer => {
    const message = Buffer.alloc(28);
    message.writeUInt32BE(0x8000_0018, 0);
    request.copy(message, 4, 4, 8);
    message.writeUInt32BE(1, 8);
    message.writeUInt32BE(status, 24);
    return message;
  };

  test('that is not there is named with its port, before anything is mounted', async () => {
    const port = await listen(() => undefined);
    servers.splice(0).forEach((server) => server.close());
    await expect(nfsDriver.mount(volume(port))).rejects.toMatchObject({
      code: 'unavailable',
      message: `Cannot mount volume "some-volume": nothing listens on port ${port} of "127.0.0.1", where NFS should be`,
    });
  });

  test('whose name cannot be resolved is named', async () => {
    const options = nfs({ device: 'no-such-server.invalid:/x' });
    await expect(nfsDriver.mount({ ...volume(1), options })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('"no-such-server.invalid"') as string,
    });
  });

  test('that speaks something else does not keep us waiting', async () => {
    const port = await listen((socket) =>
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\nand some more words'),
    );
    await expect(nfsDriver.mount(volume(port))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('speaks no NFS version 4 or 3') as string,
    });
  });

  test('that says nothing does not keep us waiting', async () => {
    const port = await listen(() => undefined);
    const before = Date.now();
    expect(await nfsDriver.health(volume(port), { isMounted: false })).toMatchObject({
      status: 'unreachable',
    });
    expect(Date.now() - before).toBeLessThan(30_000);
  });

  test('that speaks another version is reported', async () => {
    const port = await listen((socket, request) => socket.write(reply(request, 2)));
    await expect(nfsDriver.mount(volume(port, ',nfsvers=4.1'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('speaks no NFS version 4 on port') as string,
      hint: expect.stringContaining('nfsvers=') as string,
    });
  });

  test('that responds is healthy', async () => {
    const port = await listen((socket, request) => socket.write(reply(request, 0)));
    expect(await nfsDriver.health(volume(port), { isMounted: false })).toEqual({
      status: 'good',
      message: undefined,
    });
  });

  test('that comes later is waited for', async () => {
    const port = await listen(() => undefined);
    servers.splice(0).forEach((server) => server.close());
    const late = volume(port);
    const before = Date.now();
    const options = { ...late.options, wait: '3' };
    await expect(nfsDriver.mount({ ...late, options })).rejects.toMatchObject({ code: 'unavailable' });
    expect(Date.now() - before).toBeGreaterThan(1900);
  });

  test('is abandoned by a cancelled caller', async () => {
    const port = await listen(() => undefined);
    const work = nfsDriver.mount(volume(port), { signal: AbortSignal.timeout(100) });
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
  });
});
