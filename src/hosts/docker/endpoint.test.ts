import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findDockerEndpoint, parseDockerHost, type SshEndpoint } from './endpoint.ts';
import { sshArguments } from './ssh-connection.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'endpoint-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const write = async (path: string, content: string): Promise<void> => {
  await mkdir(join(home, path, '..'), { recursive: true });
  await writeFile(join(home, path), content);
};

async function writeContext(
  name: string,
  endpoint: Readonly<Record<string, unknown>>,
  tls: readonly string[] = [],
): Promise<void> {
  const folder = createHash('sha256').update(name).digest('hex');
  await write(
    `.docker/contexts/meta/${folder}/meta.json`,
    JSON.stringify({ Name: name, Metadata: {}, Endpoints: { docker: endpoint } }),
  );
  for (const file of tls) await write(`.docker/contexts/tls/${folder}/docker/${file}`, file);
}

describe('an address of an engine', () => {
  test.each([
    ['unix:///run/x.sock', { kind: 'unix', socketPath: '/run/x.sock' }],
    ['unix://', { kind: 'unix', socketPath: '/var/run/docker.sock' }],
    ['tcp://host', { kind: 'tcp', host: 'host', port: 2375, tls: undefined }],
    ['host:99', { kind: 'tcp', host: 'host', port: 99 }],
    ['tcp://[::1]:99/base/', { kind: 'tcp', host: '::1', port: 99, basePath: '/base' }],
    ['https://host', { kind: 'tcp', host: 'host', port: 443, tls: { verify: true } }],
    ['ssh://host', { kind: 'ssh', host: 'host', user: undefined, port: undefined }],
    [
      'ssh://me@host:22/run/d.sock',
      { kind: 'ssh', host: 'host', user: 'me', port: 22, remoteSocket: '/run/d.sock' },
    ],
  ])('%s is understood', (address, expected) => {
    expect(parseDockerHost(address)).toMatchObject({ ...expected, explicit: true });
  });

  test.each([
    ['/run/docker.sock', 'usage', 'unix:///run/docker.sock'],
    ['unix://relative', 'usage', 'starts with "/"'],
    ['ftp://host', 'usage', 'unix://'],
    ['tcp://', 'usage', 'host'],
    ['fd://', 'unsupported', 'unix://'],
    ['npipe:////./pipe/docker', 'unsupported', 'unix://'],
    ['ssh://-oProxyCommand=id', 'usage', 'ssh'],
    ['ssh://-oProxyCommand=id@host', 'usage', 'ssh'],
    ['ssh://me:secret@host', 'usage', 'key'],
    ['ssh://host/run/$(id).sock', 'usage', 'far socket'],
    ['ssh://host/run/a b', 'usage', 'far socket'],
  ])('%s is refused as %s', (address, code, hint) => {
    expect(() => parseDockerHost(address)).toThrow(
      expect.objectContaining({ code, hint: expect.stringContaining(hint) as string }) as Error,
    );
  });

  test('a password in an address is in no message', () => {
    expect(parseDockerHost('https://me:secret@host').address).not.toContain('secret');
    expect(() => parseDockerHost('ssh://me:secret@host')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') as string }) as Error,
    );
  });
});

test('the words of an address come to ssh as words, after the end of its options', () => {
  const endpoint = parseDockerHost('ssh://me@host:2222/run/d.sock') as SshEndpoint;
  const words = sshArguments(endpoint);
  expect(words.slice(words.indexOf('--'))).toEqual([
    '--',
    'host',
    'docker',
    '--host',
    'unix:///run/d.sock',
    'system',
    'dial-stdio',
  ]);
  expect(words.slice(0, words.indexOf('--'))).toEqual(
    expect.arrayContaining(['BatchMode=yes', '-l', 'me', '-p', '2222']),
  );
});

describe('the engine is found', () => {
  test('at the usual socket when nothing else is said', async () => {
    expect(await findDockerEndpoint({ HOME: home })).toMatchObject({
      socketPath: '/var/run/docker.sock',
      explicit: false,
    });
    await write('.docker/config.json', '{"currentContext": "default"}');
    expect(await findDockerEndpoint({ HOME: home })).toMatchObject({ explicit: false });
  });

  test('by DOCKER_HOST before any context', async () => {
    await writeContext('work', { Host: 'tcp://work:1' });
    const env = { HOME: home, DOCKER_HOST: 'tcp://chosen:2', DOCKER_CONTEXT: 'work' };
    expect(await findDockerEndpoint(env)).toMatchObject({ host: 'chosen', explicit: true });
  });

  test('by DOCKER_CONTEXT before the one in the config file', async () => {
    await writeContext('work', { Host: 'tcp://work:1' });
    await writeContext('home', { Host: 'unix:///home.sock' });
    await write('.docker/config.json', '{"currentContext": "home", "auths": {}}');
    expect(await findDockerEndpoint({ HOME: home })).toMatchObject({
      socketPath: '/home.sock',
      explicit: true,
    });
    expect(await findDockerEndpoint({ HOME: home, DOCKER_CONTEXT: 'work' })).toMatchObject({ host: 'work' });
    expect(await findDockerEndpoint({ HOME: home, DOCKER_CONTEXT: 'default' })).toMatchObject({
      explicit: false,
    });
    expect(
      await findDockerEndpoint({ HOME: '/nowhere', DOCKER_CONFIG: join(home, '.docker') }),
    ).toMatchObject({ socketPath: '/home.sock' });
  });

  test('with the certificates of a context', async () => {
    await writeContext('tls', { Host: 'tcp://far:2376', SkipTLSVerify: true }, [
      'ca.pem',
      'cert.pem',
      'key.pem',
    ]);
    const pem = (name: string) => Buffer.from(name);
    expect(await findDockerEndpoint({ HOME: home, DOCKER_CONTEXT: 'tls' })).toMatchObject({
      tls: { verify: false, ca: pem('ca.pem'), cert: pem('cert.pem'), key: pem('key.pem') },
    });
  });

  test('with the certificates of DOCKER_CERT_PATH', async () => {
    for (const name of ['ca.pem', 'cert.pem', 'key.pem']) await write(`certs/${name}`, name);
    const env = {
      HOME: home,
      DOCKER_HOST: 'tcp://far',
      DOCKER_TLS_VERIFY: '1',
      DOCKER_CERT_PATH: join(home, 'certs'),
    };
    expect(await findDockerEndpoint(env)).toMatchObject({
      port: 2376,
      tls: { verify: true, ca: Buffer.from('ca.pem') },
    });
  });

  test.each([
    [{ DOCKER_CONTEXT: 'typo' }, 'not-found', '"typo"'],
    [{ DOCKER_CONTEXT: 'empty' }, 'usage', '"empty"'],
    [
      { DOCKER_HOST: 'tcp://far', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/nowhere' },
      'not-found',
      '"ca.pem"',
    ],
  ])('never elsewhere when %j is wrong', async (env, code, words) => {
    await writeContext('empty', { SkipTLSVerify: false });
    const message = expect.stringContaining(words) as string;
    await expect(findDockerEndpoint({ HOME: home, ...env })).rejects.toMatchObject({ code, message });
  });

  test('never elsewhere when the config file is damaged', async () => {
    await write('.docker/config.json', '{"currentContext": ');
    await expect(findDockerEndpoint({ HOME: home })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('config.json') as string,
    });
  });
});
