import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { link, mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { type Api, startApi } from '../docker/start-api.ts';
import { type RawOptions, sendRaw } from '../support/raw-client.ts';
import { command } from '../support/holdfast-command.ts';

let engine: PrivateEngine;
beforeAll(async () => {
  // Without this, dockerd mounts its folder, and data cannot be exchanged with what is beside it.
  engine = await startPrivateEngine({ hasSharedMounts: true });
  await engine.importBusybox();
});
afterAll(() => engine?.[Symbol.asyncDispose]());

interface Said {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Docker's own command against a socket, and normalises what differs from run to run. */
async function docker(socket: string, args: readonly string[]): Promise<Said> {
  const env = { ...engine.env, DOCKER_HOST: `unix://${socket}` };
  const child = spawn('docker', args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number]>,
  ]);
  return { exitCode, stdout: alike(stdout), stderr: alike(stderr) };
}

function alike(output: string): string {
  return output
    .replace(/\b[0-9a-f]{64}\b/g, 'ID')
    .replace(/"CreatedAt": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)"/g, '"CreatedAt": "TIME"')
    .replace(/"Mountpoint": "\/[^"]*\/volumes\/([^"]*)"/g, '"Mountpoint": "…/volumes/$1"');
}

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
}

/** Sends raw bytes, and returns the answer once the other end is quiet or has closed. */
async function sendBytes(socketPath: string, bytes: string): Promise<void> {
  const socket = connect(socketPath);
  const ended = new AbortController();
  socket.on('error', () => undefined);
  socket.on('close', () => ended.abort());
  socket.setTimeout(1_000, () => socket.destroy());
  socket.resume();
  socket.write(bytes);
  if (!ended.signal.aborted) await once(ended.signal, 'abort');
}

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: string | undefined;
  readonly type?: string | undefined;
}

async function ask(socketPath: string, { method, path, body: sent, type }: Question): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({
    socketPath,
    method,
    path,
    agent: false,
    headers: { Host: 'docker', ...(type !== undefined && { 'Content-Type': type }) },
  });
  asked.on('error', reject);
  asked.on('response', (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => (body += chunk));
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        type: response.headers['content-type'],
        body: alike(body.trim().replaceAll('":"', '": "')).replaceAll('": "', '":"'),
      }),
    );
  });
  asked.end(sent);
  return await promise;
}

async function sizeOfChanging(socketPath: string): Promise<number> {
  const { body } = await ask(socketPath, { method: 'GET', path: '/v1.44/system/df?type=volume' });
  return Number(/"Name":"changing".*?"Size":(\d+)/.exec(body)?.[1]);
}

describe("Docker's command prints the same for our volumes as for an engine's", () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi(join(engine.folder, 'own'));
  });
  afterAll(() => api?.[Symbol.asyncDispose]());

  const create = ['volume', 'create'];
  const ls = ['volume', 'ls'];
  // In this order: each builds on those before.
  test.each<readonly string[]>([
    [...ls],
    [...create, 'pg'],
    [...create, 'pg'],
    [...create, '--label', 'env=prod', '--label', 'tier=', 'web'],
    [...create, '--label', 'env=test', 'pg'],
    [...create],
    [...create, '--label', 'com.docker.volume.anonymous=', 'looks-anonymous'],
    [...create, 'a'],
    [...create, 'a/b'],
    [...create, '-o', 'foo=1', 'xx'],
    [...create, '-o', 'type=tmpfs', 'xx'],
    [...create, '-o', 'device=tmpfs', 'xx'],
    [...create, '-o', 'o=size=1m', 'xx'],
    [...create, '-o', 'size=foo', 'xx'],
    [...create, '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m', 'fleeting'],
    [...ls],
    [...ls, '-q', '-f', 'name=pg'],
    [...ls, '-q', '-f', 'name=^w.b$'],
    [...ls, '-q', '-f', 'name=['],
    [...ls, '-q', '-f', 'name=pg', '-f', 'name=web'],
    [...ls, '-q', '-f', 'label=env'],
    [...ls, '-q', '-f', 'label=env=prod'],
    [...ls, '-q', '-f', 'label=env=prod', '-f', 'label=tier'],
    [...ls, '-q', '-f', 'label=env=prod', '-f', 'label=none'],
    [...ls, '-q', '-f', 'driver=local', '-f', 'name=pg'],
    [...ls, '-q', '-f', 'driver=loc'],
    [...ls, '-q', '-f', 'dangling=true', '-f', 'name=pg'],
    [...ls, '-q', '-f', 'dangling=1', '-f', 'name=pg'],
    [...ls, '-q', '-f', 'dangling=false'],
    [...ls, '-q', '-f', 'dangling=maybe'],
    [...ls, '-f', 'foo=bar'],
    [...ls, '--format', '{{.Name}} {{.Driver}} {{.Scope}} {{.Label "env"}}', '-f', 'name=web'],
    [...ls, '--format', 'json', '-f', 'name=fleeting', '-f', 'dangling=true', '--format', '{{.Name}}'],
    ['volume', 'inspect', 'pg'],
    ['volume', 'inspect', 'web', 'nope', 'pg'],
    ['volume', 'inspect', '-f', '{{.Options.o}} {{.Driver}}', 'fleeting'],
    ['volume', 'inspect', 'nope'],
    ['system', 'df'],
    ['system', 'df', '--format', '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}}'],
    ['volume', 'prune', '-f', '--filter', 'foo=bar'],
    ['volume', 'prune', '-f', '--filter', 'label!=com.docker.volume.anonymous'],
    ['volume', 'prune', '-f'],
    [...ls, '-q'],
    ['volume', 'rm', 'nope'],
    ['volume', 'rm', '-f', 'nope'],
    ['volume', 'rm', 'web', 'nope', 'fleeting'],
    [...ls, '-q'],
    ['volume', 'prune', '-a', '-f'],
    [...ls, '-q'],
    [...create, 'again'],
    ['volume', 'rm', 'again'],
  ])('docker %s %s %s %s %s %s %s', async (...args) => {
    if (args.includes('df')) {
      // The engine's own images and containers are not listed by ours.
      const lines = ({ stdout }: Said): string[] =>
        stdout.split('\n').filter((line) => /^(TYPE|Local)/.test(line));
      const ours = lines(await docker(api.socket, args));
      expect(ours).toEqual(lines(await docker(engine.socket, args)));
      expect(ours).not.toEqual([]);
      return;
    }
    expect(await docker(api.socket, args)).toEqual(await docker(engine.socket, args));
  });

  test('docker system df -v: with sizes that are sums of file lengths, hard links once', async () => {
    for (const socket of [api.socket, engine.socket]) await docker(socket, ['volume', 'create', 'sized']);
    for (const path of [join(api.stateDir, 'volumes/sized/_data'), engine.volumePath('sized')]) {
      await mkdir(join(path, 'sub'));
      await writeFile(join(path, 'sub/a'), 'x'.repeat(123_456));
      await link(join(path, 'sub/a'), join(path, 'b'));
      await writeFile(join(path, 'sparse'), '');
      await truncate(join(path, 'sparse'), 5 << 20);
      await symlink('a-long-name-of-something-else', join(path, 'link'));
    }
    const volumes = ({ stdout }: Said): string[] =>
      stdout.split('\n').filter((line) => /^(VOLUME|sized)/.test(line));
    const seen = volumes(await docker(api.socket, ['system', 'df', '-v']));
    expect(seen).toEqual(volumes(await docker(engine.socket, ['system', 'df', '-v'])));
    expect(seen[1]).toContain('5.366MB');
    for (const socket of [api.socket, engine.socket]) await docker(socket, ['volume', 'rm', 'sized']);
  });

  test('the size of a volume to the byte, each time after a change', async () => {
    const sockets = [api.socket, engine.socket];
    for (const socket of sockets) await docker(socket, ['volume', 'create', 'changing']);
    const roots = [join(api.stateDir, 'volumes/changing/_data'), engine.volumePath('changing')];
    const changes: readonly (readonly [program: string, ...args: string[]])[] = [
      ['mkdir', '-p', 'a/b/c'],
      ['truncate', '-s', '1000', 'a/file', 'a/b/c/other'],
      ['touch', '-d', 'yesterday', 'a/file', 'a/b/c/other'],
      ['ln', '-s', 'somewhere else', 'a/link'],
      ['truncate', '-s', '+1', 'a/b/c/other'],
      ['ln', 'a/file', 'a/b/again'],
      ['truncate', '-s', '+1', 'a/b/again'],
      ['mkfifo', 'a/pipe'],
      ['mv', 'a/b', 'moved'],
      ['truncate', '-s', '5M', 'moved/c/other'],
      ['rm', 'a/file'],
      ['rm', '-r', 'a'],
    ];
    const seen: number[] = [];
    for (const [program, ...args] of changes) {
      for (const root of roots)
        expect((await runCommand(program, args, { cwd: root })).exitCode, program).toBe(0);
      const [ours = 0, theirs] = await Promise.all(sockets.map(sizeOfChanging));
      expect(ours, program).toBe(theirs);
      seen.push(ours);
    }
    expect(seen).toEqual([
      0, 2000, 2000, 2014, 2015, 2015, 2016, 2016, 2016, 5_243_895, 5_243_895, 5_243_881,
    ]);
    for (const socket of sockets) await docker(socket, ['volume', 'rm', 'changing']);
  });

  const json = 'application/json';
  test.each<readonly [method: string, path: string, body?: string, type?: string]>([
    ['GET', '/v1.44/volumes'],
    ['GET', '/v1.44/volumes/nope'],
    ['GET', '/v1.44/volumes/'],
    ['GET', '/v1.44/volumes/a%2Fb'],
    ['DELETE', '/v1.44/volumes/nope'],
    ['DELETE', '/v1.44/volumes/nope?force=1'],
    ['DELETE', '/v1.44/volumes/nope?force=false'],
    ['DELETE', '/v1.44/volumes/nope?force=x'],
    ['PUT', '/v1.44/volumes/pg?version=1'],
    ['PATCH', '/v1.44/volumes'],
    ['POST', '/v1.44/volumes/pg'],
    ['POST', '/v1.44/volumes/create', '{"Name":"xx","Driver":"nosuch"}', json],
    ['GET', '//v1.44/volumes'],
    ['POST', '//v1.44/volumes/create', '{"Name":"xx"}', json],
    ['GET', '/a/../v1.44/./volumes?filters=x'],
    ['GET', '/nope'],
    ['GET', '/vfoo/volumes'],
    ['GET', '/v1.10/volumes'],
    ['GET', '/v1.44/volumes?filters=x'],
    ['GET', '/v1.44/volumes?filters=%5B%5D'],
    ['GET', '/v1.44/volumes?filters=%7B%22name%22%3A%7B%22pg%22%3Atrue%7D%7D'],
    ['GET', '/v1.44/volumes?filters=%7B%22dangling%22%3A%5B%221%22%2C%220%22%5D%7D'],
    ['GET', '/v1.44/volumes?filters=%7B%22label!%22%3A%5B%22a%22%5D%7D'],
    ['POST', '/v1.44/volumes/prune?filters=x'],
    ['POST', '/v1.44/volumes/prune?filters=%7B%22dangling%22%3A%5B%221%22%5D%7D'],
    ['POST', '/v1.44/volumes/prune?filters=%7B%22all%22%3A%5B%22x%22%5D%7D'],
    ['POST', '/v1.44/volumes/create', '{"Name":"a"}', 'text/plain'],
    ['POST', '/v1.44/volumes/create', '{"Name":"aa"} x', json],
    ['POST', '/v1.44/volumes/create', '{"Name"', json],
    ['POST', '/v1.44/volumes/create', '{"Name":5}', json],
    ['POST', '/v1.44/volumes/create', '{"Labels":[]}', json],
    ['POST', '/v1.44/volumes/create', '[]', json],
    ['POST', '/v1.44/volumes/create', '{"Name":"","DriverOpts":{"foo":"1"}}', json],
    [
      'POST',
      '/v1.44/volumes/create',
      '{"name":"case","labels":{"a":null},"unknown":1}',
      `${json}; charset=utf-8`,
    ],
    ['DELETE', '/v1.44/volumes/case'],
    ['POST', '/v1.44/volumes/create'],
    ['POST', '/v1.41/volumes/prune'],
    ['GET', '/v1.44/system/df?type=volume'],
    ['GET', '/v1.44/system/df?type=foo'],
    ['GET', '/v1.44/events?since=x'],
    ['GET', '/v1.44/events?until=1&filters=x'],
    ['GET', '/v1.44/events?until=1&since=0'],
    ['GET', '/_ping'],
    ['HEAD', '/_ping'],
  ])('%s %s %s', async (...question) => {
    const [method = '', path = '', body, type] = question;
    const asked = { method, path, body, type };
    expect(await ask(api.socket, asked)).toEqual(await ask(engine.socket, asked));
  });

  test('the events of volumes', async () => {
    const events = async (socket: string): Promise<string[]> => {
      const since = (Date.now() / 1000).toFixed(3);
      await docker(socket, ['volume', 'create', 'eventful']);
      await docker(socket, ['volume', 'create', '--label', 'com.docker.volume.anonymous=', 'pruned']);
      await docker(socket, ['volume', 'rm', 'eventful']);
      await docker(socket, ['volume', 'prune', '-f']);
      const until = ((Date.now() + 1000) / 1000).toFixed(3);
      const format = '{{.Type}} {{.Action}} {{.Actor.ID}} {{json .Actor.Attributes}}';
      const args = [
        'events',
        '--since',
        since,
        '--until',
        until,
        '--format',
        format,
        '--filter',
        'type=volume',
      ];
      return (await docker(socket, args)).stdout.split('\n');
    };
    const ours = await events(api.socket);
    expect(ours).toEqual(await events(engine.socket));
    expect(ours).toContain('volume create eventful {"driver":"local"}');
  });

  test('a version that is too new is refused with the same message', async () => {
    const { status, body } = await ask(api.socket, { method: 'GET', path: '/v1.99/volumes' });
    const theirs = await ask(engine.socket, { method: 'GET', path: '/v1.99/volumes' });
    expect(status).toBe(theirs.status);
    expect(body.replace(/1\.\d+"/, '1.N"')).toBe(theirs.body.replace(/1\.\d+"/, '1.N"'));
  });
});

describe('the API without an engine', () => {
  test('makes volumes on the drivers, and moves removed ones to the trash', async () => {
    await using api = await startApi(join(engine.folder, 'drivers'));
    await docker(api.socket, ['volume', 'create', '-d', 'holdfast', '-o', 'size=20m', 'sized']);
    const mark = join(engine.folder, 'ran');
    const secret = ['-o', 'type=gocryptfs', '-o', `key=exec:touch ${mark}`];
    const refused = await docker(api.socket, ['volume', 'create', '-d', 'holdfast', ...secret, 'owned']);
    expect(refused).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('would run a command here'),
    });
    expect(existsSync(mark)).toBe(false);
    const { stdout } = await docker(api.socket, [
      'volume',
      'inspect',
      '-f',
      '{{.Status.kind}} {{.Options.size}}',
      'sized',
    ]);
    expect(stdout).toBe('local 20m\n');
    expect((await docker(api.socket, ['volume', 'create', '-d', 'nosuch', 'xx'])).stderr).toContain('nosuch');
    await docker(api.socket, ['volume', 'create', 'kept']);
    await writeFile(join(api.stateDir, 'volumes/kept/_data/file'), 'precious');
    await docker(api.socket, ['volume', 'rm', 'kept']);
    const [trashed = ''] = readdirSync(join(api.stateDir, 'trash')).filter((name) =>
      name.startsWith('kept.'),
    );
    expect(readFileSync(join(api.stateDir, 'trash', trashed, '_data/file'), 'utf8')).toBe('precious');
  });

  test('refuses to remove a mounted volume, and names its holder', async () => {
    await using api = await startApi(join(engine.folder, 'used'));
    await docker(api.socket, ['volume', 'create', 'used']);
    const args = ['run', '--state-dir', api.stateDir, '-v', 'used:/data', '--', 'sleep', '1000'];
    const running = spawn(command, args, { stdio: 'ignore' });
    const exit = once(running, 'exit');
    try {
      await expect
        .poll(async () => (await docker(api.socket, ['volume', 'ls', '-q', '-f', 'dangling=false'])).stdout)
        .toBe('used\n');
      const { exitCode, stderr } = await docker(api.socket, ['volume', 'rm', 'used']);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining('remove used: volume is in use - [')]);
    } finally {
      running.kill('SIGTERM');
      await exit;
    }
    expect((await docker(api.socket, ['volume', 'rm', 'used'])).exitCode).toBe(0);
  });

  test('its socket is for its owner and its group', async () => {
    await using api = await startApi(join(engine.folder, 'socket'));
    expect(statSync(api.socket).mode & 0o7777).toBe(0o660);
  });
});

describe('the API with an engine behind it', () => {
  let api: Api;
  const run = (...args: string[]): Promise<Said> => docker(api.socket, args);
  const trashed = (volume: string): string | undefined =>
    readdirSync(join(api.stateDir, 'trash')).find((name) => name.startsWith(`${volume}.`));
  beforeAll(async () => {
    api = await startApi(join(engine.folder, 'front'), '--upstream', `unix://${engine.socket}`);
  });
  afterAll(() => api?.[Symbol.asyncDispose]());

  test('passes containers, their terminals and streams through unchanged', async () => {
    const image = ['busybox'];
    expect((await run('run', '--rm', ...image, 'echo', 'hello')).stdout).toBe('hello\n');
    expect((await run('run', '--rm', ...image, 'sh', '-c', 'exit 7')).exitCode).toBe(7);
    await run('run', '-d', '--name', 'long', ...image, 'sleep', '1000');
    const input = 'x'.repeat(3_000_000);
    for (let attempt = 0; attempt < 5; attempt += 1)
      expect(await piped(['exec', '-i', 'long', 'cat'], input)).toBe(input);
    expect(await piped(['run', '--rm', '-i', ...image, 'wc', '-c'], input)).toBe('3000000\n');
    expect((await run('exec', 'nosuch', 'ls')).stderr).toContain('No such container: nosuch');
    expect((await run('logs', '-n', '1', 'nosuch')).stderr).toContain('No such container: nosuch');
    await run('rm', '-f', 'long');
  });

  test('streams ongoing output until the client closes the connection', async () => {
    await run(
      'run',
      '-d',
      '--name',
      'ticking',
      'busybox',
      'sh',
      '-c',
      'while true; do echo tick; sleep 0.2; done',
    );
    const child = spawn('docker', ['logs', '-f', 'ticking'], {
      env: { ...engine.env, DOCKER_HOST: `unix://${api.socket}` },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let ticks = 0;
    for await (const chunk of child.stdout) {
      ticks += String(chunk).split('tick').length - 1;
      if (ticks > 5) break;
    }
    child.kill('SIGTERM');
    expect(ticks).toBeGreaterThan(5);
    await run('rm', '-f', 'ticking');
  });

  test('keeps a removed volume: its data goes to the trash, and the engine no longer has it', async () => {
    await run(
      'run',
      '--rm',
      '-v',
      'kept:/data',
      'busybox',
      'sh',
      '-c',
      'echo precious > /data/file; chown 7:8 /data',
    );
    expect(await run('volume', 'rm', 'kept')).toMatchObject({ exitCode: 0, stdout: 'kept\n' });
    expect((await docker(engine.socket, ['volume', 'inspect', 'kept'])).exitCode).toBe(1);
    const data = join(api.stateDir, 'trash', trashed('kept') ?? '', '_data');
    expect(readFileSync(join(data, 'file'), 'utf8')).toBe('precious\n');
    expect(statSync(data)).toMatchObject({ uid: 7, gid: 8 });
  });

  test('leaves alone a volume in use, and passes on the answer of the engine', async () => {
    await run(
      'run',
      '-d',
      '--name',
      'user',
      '-v',
      'used:/data',
      'busybox',
      'sh',
      '-c',
      'echo live > /data/file; sleep 1000',
    );
    const ours = await run('volume', 'rm', 'used');
    expect(ours).toEqual(await docker(engine.socket, ['volume', 'rm', 'used']));
    expect(ours.stderr).toContain('volume is in use');
    expect((await run('exec', 'user', 'cat', '/data/file')).stdout).toBe('live\n');
    await run('rm', '-f', 'user');
    expect(trashed('used')).toBeUndefined();
    expect(await run('volume', 'rm', 'nope')).toEqual(await docker(engine.socket, ['volume', 'rm', 'nope']));
    await run('volume', 'rm', 'used');
  });

  test('prunes by the rules of the engine, into the trash', async () => {
    await run('volume', 'create', 'named');
    await run('volume', 'create', '--label', 'keep', 'labelled');
    await run('volume', 'create', '--label', 'com.docker.volume.anonymous=', 'nameless');
    await writeFile(join(engine.volumePath('named'), 'file'), 'x'.repeat(1000));
    expect((await run('volume', 'prune', '-f')).stdout).toContain('nameless');
    expect((await run('volume', 'prune', '-f', '-a', '--filter', 'label!=keep')).stdout).toContain(
      'Total reclaimed space: 1kB',
    );
    expect((await run('volume', 'ls', '-q')).stdout.split('\n')).toEqual(
      expect.arrayContaining(['labelled']),
    );
    expect(trashed('nameless')).toBeDefined();
    expect(statSync(join(api.stateDir, 'trash', trashed('named') ?? '', '_data/file')).size).toBe(1000);
    expect(existsSync(engine.volumePath('named'))).toBe(false);
    await run('volume', 'rm', 'labelled');
  });

  test('moves what Compose takes down to the trash', async () => {
    const folder = join(engine.folder, 'stack');
    await mkdir(folder);
    await writeFile(
      join(folder, 'compose.yaml'),
      `services:
  app:
    image: busybox
    command: sh -c 'echo composed > /data/file; sleep 10000'
    network_mode: none
    stop_grace_period: 0s
    volumes: ['data:/data']
volumes: { data: {} }
`,
    );
    const compose = ['compose', '--project-directory', folder, '-p', 'fronted'];
    expect((await run(...compose, 'up', '-d')).exitCode).toBe(0);
    await expect.poll(() => existsSync(join(engine.volumePath('fronted_data'), 'file'))).toBe(true);
    expect((await run(...compose, 'down', '-v')).exitCode).toBe(0);
    const file = join(api.stateDir, 'trash', trashed('fronted_data') ?? '', '_data/file');
    expect(readFileSync(file, 'utf8')).toBe('composed\n');
  });

  test.each(['beside the engine', 'on another file system'])(
    'what was removed comes back to the engine, by a trash %s',
    async (where) => {
      const isFar = where !== 'beside the engine';
      await using far = isFar ? await startFarApi() : undefined;
      const { socket, stateDir } = far ?? api;
      const trash = (...words: string[]): ReturnType<typeof runCommand> =>
        runCommand(command, ['trash', ...words, '--state-dir', stateDir, '--host', 'docker'], {
          env: { ...engine.env, DOCKER_HOST: `unix://${engine.socket}` },
        });
      await run('volume', 'create', '--label', 'env=prod', 'lost');
      await writeFile(join(engine.volumePath('lost'), 'file'), 'precious');
      expect((await docker(socket, ['volume', 'rm', 'lost'])).exitCode).toBe(0);
      expect(await trash('restore', 'lost')).toMatchObject({ exitCode: 0, stdout: 'lost\n' });
      expect(readFileSync(join(engine.volumePath('lost'), 'file'), 'utf8')).toBe('precious');
      expect(readdirSync(join(engine.volumePath('lost'), '..'))).toEqual(['_data']);
      const labels = await run('volume', 'inspect', '-f', '{{json .Labels}}', 'lost');
      expect(labels.stdout).toBe('{"env":"prod"}\n');
      expect((await trash('ls', '-q')).stdout).not.toContain('lost');
      expect(await trash('restore', 'lost')).toMatchObject({ exitCode: 4 });
      expect((await docker(engine.socket, ['volume', 'rm', 'lost'])).exitCode).toBe(0);
    },
  );

  test('a volume with the longest possible name goes to the trash, and comes back by that name', async () => {
    const name = 'n'.repeat(255);
    await run('volume', 'create', name);
    await writeFile(join(engine.volumePath(name), 'file'), 'precious');
    expect(await run('volume', 'rm', name)).toMatchObject({ exitCode: 0 });
    expect(existsSync(engine.volumePath(name))).toBe(false);
    const args = ['trash', 'restore', name, '--state-dir', api.stateDir, '--host', 'docker'];
    expect(await runCommand(command, args, { env: engine.env })).toMatchObject({ exitCode: 0 });
    expect(readFileSync(join(engine.volumePath(name), 'file'), 'utf8')).toBe('precious');
    await docker(engine.socket, ['volume', 'rm', name]);
  });

  /** With a state folder in memory, so that data is copied both ways. */
  async function startFarApi(): Promise<Api> {
    const folder = mkdtempSync('/dev/shm/holdfast-api-');
    const far = await startApi(folder, '--upstream', `unix://${engine.socket}`);
    return {
      ...far,
      async [Symbol.asyncDispose]() {
        await far[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  }

  test('neither removes nor prunes a protected volume', async () => {
    await run('volume', 'create', 'dear');
    const holdfast = (...words: string[]): ReturnType<typeof runCommand> =>
      runCommand(command, ['volume', ...words, 'dear', '--state-dir', api.stateDir, '--host', 'docker'], {
        env: { ...engine.env, DOCKER_HOST: `unix://${engine.socket}` },
      });
    expect(await holdfast('protect')).toMatchObject({ exitCode: 0 });
    expect(await run('volume', 'rm', 'dear')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('remove dear: the volume is protected'),
    });
    await run('volume', 'prune', '-af');
    expect((await run('volume', 'ls', '-q', '-f', 'name=dear')).stdout).toBe('dear\n');
    expect(await holdfast('unprotect')).toMatchObject({ exitCode: 0 });
    expect((await run('volume', 'rm', 'dear')).exitCode).toBe(0);
    expect(trashed('dear')).toBeDefined();
  });

  describe('no form of a request gets around protection', () => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
    const line = (method: string, target: string, headers = '', body = ''): string =>
      `${method} ${target} HTTP/1.1\r\nHost: docker\r\n${headers}\r\n${body}`;
    const removal = line('DELETE', '/volumes/dearest');
    const length = (body: string): string => `Content-Length: ${body.length}\r\n`;

    beforeAll(async () => {
      await run('volume', 'create', 'dearest');
      await run('run', '-d', '--name', 'beside', '-v', '/anonymous', 'busybox', 'sleep', '1000');
      await protect('dearest', 'protect');
    });
    afterAll(async () => {
      await protect('dearest', 'unprotect');
      await run('rm', '-fv', 'beside');
      await run('volume', 'rm', 'dearest');
    });

    test.each([
      ['as it is', removal],
      ['with an upgrade', line('DELETE', '/volumes/dearest', upgrade)],
      ['with an upgrade and a version', line('DELETE', '/v1.45/volumes/dearest?force=1', upgrade)],
      [
        'with an upgrade to HTTP/2',
        line(
          'DELETE',
          '/volumes/dearest',
          'Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
        ),
      ],
      [
        'with an upgrade, to prune',
        line('POST', '/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D', `${upgrade}${length('')}`),
      ],
      ['with two slashes', line('DELETE', '//volumes/dearest', upgrade)],
      ['with two slashes after the version', line('DELETE', '/v1.45//volumes/dearest')],
      ['through another folder', line('DELETE', '/v1.45/volumes/..%2fvolumes%2fdearest', upgrade)],
      ['through a path that hands over', line('DELETE', '/exec/x/start/../../../volumes/dearest', upgrade)],
      ['in capitals', line('DELETE', '/Volumes/dearest', upgrade)],
      ['with an encoded name', line('DELETE', '/%76olumes/%64earest', upgrade)],
      ['with an encoded slash', line('DELETE', '/volumes%2fdearest', upgrade)],
      ['in the absolute form', line('DELETE', 'http://docker/volumes/dearest', upgrade)],
      [
        'by another method',
        line('POST', '/volumes/dearest', `X-HTTP-Method-Override: DELETE\r\n${length('')}`),
      ],
      ['behind another request', `${line('GET', '/_ping')}${removal}`],
      [
        'behind an exec that fails',
        `${line('POST', '/exec/nosuch/start', `${upgrade}Content-Type: application/json\r\n${length('{}')}`, '{}')}${removal}`,
      ],
      [
        'inside the body of an exec',
        `${line('POST', '/exec/nosuch/start', `${upgrade}${length('')}`)}${removal}`,
      ],
      ['behind an attach that fails', `${line('POST', '/containers/nosuch/attach', upgrade)}${removal}`],
      [
        'behind a chunked body',
        `${line('POST', '/exec/nosuch/start', `${upgrade}Transfer-Encoding: chunked\r\n`, '0\r\n\r\n')}${removal}`,
      ],
      [
        'behind a request with two lengths',
        `${line('POST', '/exec/nosuch/start', `${upgrade}${length('')}Content-Length: 2\r\n`)}${removal}`,
      ],
    ])('%s', async (_what, bytes) => {
      await sendBytes(api.socket, bytes);
      expect((await docker(engine.socket, ['volume', 'ls', '-q', '-f', 'name=dearest'])).stdout).toBe(
        'dearest\n',
      );
    });

    test('nor is an anonymous volume removed with its container', async () => {
      const format = '{{range .Mounts}}{{.Name}}{{end}}';
      const name = await engine.docker(['inspect', '-f', format, 'beside']);
      await protect(name, 'protect');
      expect(await run('rm', '-fv', 'beside')).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('is protected'),
      });
      expect((await run('exec', 'beside', 'echo', 'here')).stdout).toBe('here\n');
      await protect(name, 'unprotect');
    });

    async function protect(name: string, verb: 'protect' | 'unprotect'): Promise<void> {
      const args = ['volume', verb, name, '--state-dir', api.stateDir, '--host', 'docker'];
      const env = { ...engine.env, DOCKER_HOST: `unix://${engine.socket}` };
      expect(await runCommand(command, args, { env })).toMatchObject({ exitCode: 0 });
    }
  });

  describe('other clients get what the engine gives them', () => {
    const close = 'Host: x\r\nConnection: close\r\n';
    const long = 'x'.repeat(1_000_000);
    test.each<readonly [what: string, bytes: string, options: RawOptions]>([
      ['of HTTP/1.0', 'GET /v1.44/volumes HTTP/1.0\r\n\r\n', {}],
      ['of HTTP/1.0, a long answer', 'GET /v1.44/containers/json?all=1 HTTP/1.0\r\n\r\n', {}],
      ['that closed their side', 'GET /v1.44/volumes HTTP/1.1\r\nHost: x\r\n\r\n', { half: true }],
      [
        'with a header of a megabyte',
        `GET /_ping HTTP/1.1\r\n${close}X-Registry-Config: ${long}\r\n\r\n`,
        {},
      ],
      ['with a URL of a megabyte', `GET /_ping?buildargs=${long} HTTP/1.1\r\n${close}\r\n`, {}],
      ['with a header of two', `GET /_ping HTTP/1.1\r\n${close}X-Long: ${long}${long}\r\n\r\n`, {}],
      ['that ask for all paths', `OPTIONS * HTTP/1.1\r\n${close}\r\n`, {}],
      ['that promise a trailer', `GET /v1.44/volumes HTTP/1.1\r\n${close}Trailer: X-Sum\r\n\r\n`, {}],
      ['that remove what is not there', `DELETE /v1.44/volumes/nope HTTP/1.1\r\n${close}\r\n`, {}],
      ['that write a path oddly', `GET //v1.44/volumes HTTP/1.1\r\n${close}\r\n`, {}],
    ])('%s', async (_what, bytes, options) => {
      const ours = essence(await sendRaw(api.socket, bytes, options));
      expect(ours).toEqual(essence(await sendRaw(engine.socket, bytes, options)));
      expect(ours.status).toMatch(/^\d{3}$/);
    });

    interface Essence {
      readonly status: string | undefined;
      readonly headers: readonly (string | undefined)[];
      readonly body: string;
    }

    /** What matters to a client; the order of headers and the length of chunks do not. */
    function essence(answer: string): Essence {
      const [head = '', ...rest] = answer.split('\r\n\r\n');
      const status = / (\d{3})/.exec(head)?.[1];
      const headers = ['api-version', 'server', 'ostype', 'docker-experimental', 'location'].map((name) =>
        new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim(),
      );
      // A request refused before it is read gets the server's own message.
      const body =
        status === '431'
          ? ''
          : rest
              .join('')
              .replace(/\r\n0$|^[0-9a-f]+\r\n/g, '')
              .trim();
      return { status, headers, body };
    }
  });

  test('continues at once with a restarted engine', async () => {
    const ping = (): Promise<Answer> => ask(api.socket, { method: 'GET', path: '/_ping' });
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await Promise.all(Array.from({ length: 10 }, ping));
      await engine.restart(signal);
      const answers = await Promise.all(Array.from({ length: 20 }, ping));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    }
  });

  test('says so when the engine is away', async () => {
    await using alone = await startApi(
      join(engine.folder, 'alone'),
      '--upstream',
      'unix:///nowhere/docker.sock',
    );
    const { exitCode, stderr } = await docker(alone.socket, ['volume', 'ls']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('Cannot reach the engine at "unix:///nowhere/docker.sock"');
  });

  async function piped(args: readonly string[], input: string): Promise<string> {
    const child = spawn('docker', args, {
      env: { ...engine.env, DOCKER_HOST: `unix://${api.socket}` },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(input);
    return await text(child.stdout);
  }
});
