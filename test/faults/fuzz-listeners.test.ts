import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { type Listener, sendRaw } from '../support/raw-client.ts';
import { type Dialect, drawAttempt, makeAttempt } from './hostile-client.ts';
import { startOddEngine } from './odd-engine.ts';
import { dice, seed } from './seeded.ts';
import { command } from '../support/holdfast-command.ts';
import { freePort } from '../docker/free-port.ts';

/** HOLDFAST_TEST_FUZZ_SECONDS=1800 takes half an hour for all listeners together. */
const seconds = Number(process.env['HOLDFAST_TEST_FUZZ_SECONDS'] ?? 40);
const atOnce = 6;
/** An internal error of the service, wherever it was caught: a refusal has another text. */
const ownError = /uncaught error|: Cannot answer: |: Cannot do "/;

const api: Dialect = {
  methods: ['GET', 'GET', 'POST', 'DELETE', 'PUT', 'HEAD'],
  paths: [
    ...[
      '/_ping',
      '/version',
      '/info',
      '/events',
      '/system/df',
      '/v1.52/system/df',
      '/volumes',
      '/v1.45/volumes',
      '/v1.24/volumes',
    ],
    ...[
      '/volumes/create',
      '/v1.45/volumes/create',
      '/volumes/prune',
      '/v1.41/volumes/prune',
      '/volumes/aa',
      '/volumes/bb',
      '/volumes/',
    ],
    ...[
      '/containers/json',
      '/containers/aa',
      '/containers/aa/attach',
      '/containers/aa/attach/ws',
      '/exec/aa/start',
      '/session',
      '/grpc',
    ],
    ...['/libpod/volumes/prune', '/build', '/images/create', '/v1.99/volumes', '/constructor'],
  ],
  bodies: [
    '{"Name":"aa"}',
    '{"Name":"bb","Driver":"local","Labels":{"a":"b"}}',
    '{"Name":"cc","DriverOpts":{"foo":"1"}}',
    '{"Driver":"nosuch"}',
    '{"Name":"../x","DriverOpts":{"type":"nosuch","device":"x"}}',
    '{"Name":5,"Labels":[],"DriverOpts":{"__proto__":"x","constructor":"y"}}',
    '{"ClusterVolumeSpec":{}}',
    '{"Detach":false,"Tty":true}',
  ],
};

const plugin: Dialect = {
  methods: ['POST', 'POST', 'POST', 'GET'],
  paths: [
    ...['Create', 'Remove', 'Mount', 'Unmount', 'Path', 'Get', 'List', 'Capabilities', 'constructor'].map(
      (name) => `/VolumeDriver.${name}`,
    ),
    ...['/Plugin.Activate', '/constructor', '/__proto__', '/NetworkDriver.Create'],
  ],
  bodies: [
    '{"Name":"aa"}',
    '{"Name":"bb","ID":"id"}',
    '{"Name":"aa","Opts":{"o":"x"}}',
    '{"Name":"cc","Opts":{"type":"nosuch"}}',
    '{"Name":5,"Opts":[]}',
    '{"Name":"../x","ID":5}',
    '{"Name":"aa","Opts":{"__proto__":"x","constructor":"y"}}',
  ],
};

const metrics: Dialect = {
  methods: ['GET', 'GET', 'HEAD', 'POST'],
  paths: ['/metrics', '/metrics', '/metrics/', '/', '//metrics', '/metrics%00', '/constructor'],
  bodies: ['{}', 'holdfast_build_info 1'],
};

let folder: string;
let opened: AsyncDisposableStack;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  opened = new AsyncDisposableStack();
  opened.defer(async () => {
    await runCommand('chattr', ['-R', '-f', '-i', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
});
afterEach(() => opened.disposeAsync());

interface Service {
  readonly child: ChildProcess;
  readonly socket: Listener;
  readonly said: () => string;
}

/** The real command in its own process, with its output. */
async function start(
  program: string,
  args: readonly string[],
  ready: string,
  socket: Listener = join(folder, 's'),
): Promise<Service> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  opened.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  });
  let said = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    // Keeps the beginning and the important lines; refusals are many.
    if (said.length < 10_000 || (ownError.test(text) && said.length < 100_000)) said += text;
  });
  await vi.waitFor(() => expect(said).toContain(ready), { timeout: 60_000 });
  return { child, socket, said: () => said };
}

interface Use {
  readonly descriptors: number;
  readonly residentMb: number;
}

function useOf({ child }: Service): Use {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(status) ?? [];
  return {
    descriptors: readdirSync(`/proc/${child.pid}/fd`).length,
    residentMb: Math.round(Number(kib) / 1024),
  };
}

interface Outcome {
  readonly isAlive: boolean;
  readonly uncaught: string[];
  readonly grownMb: number;
}

const good: Outcome = {
  isAlive: true,
  uncaught: [],
  grownMb: expect.toSatisfy((mb: number) => mb < 300) as number,
};

/**
 * Makes attempts of hostile clients while the budget lasts; after each batch, a good client must get a
 * response.
 */
async function fuzz(service: Service, dialect: Dialect, request: string): Promise<Outcome> {
  const { child, socket, said } = service;
  const name = expect.getState().currentTestName ?? '';
  let made = 0;
  const isAnswered = async (): Promise<boolean> => {
    if (child.exitCode !== null || child.signalCode !== null) return false;
    const answer = await sendRaw(socket, request, { quietMs: 60_000 });
    return answer.startsWith('HTTP/1.1 200 ');
  };
  const makeBatch = async (): Promise<boolean> => {
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (let turn = 0; turn < 20; turn += 1) {
          made += 1;
          await makeAttempt(socket, drawAttempt(dialect, dice(`${name} ${made}`)));
        }
      }),
    );
    return await isAnswered();
  };
  let isAlive = await isAnswered();
  const start = performance.now();
  const hasTime = (share: number): boolean => isAlive && performance.now() - start < seconds * 1000 * share;
  // Caches fill and the heap reaches its size in the first part.
  while (hasTime(1 / 20)) isAlive = await makeBatch();
  const warm = useOf(service);
  while (hasTime(1 / 5)) isAlive = await makeBatch();
  console.log(`seed ${seed}: ${made} attempts`);
  const uncaught = said()
    .split('\n')
    .filter((line) => ownError.test(line));
  if (!isAlive) {
    console.log(`about attempt ${made}: ${said().slice(-3000)}`);
    return { isAlive, uncaught, grownMb: 0 };
  }
  // All client connections are gone, and the connections to the engine are bounded.
  await vi.waitFor(() => expect(useOf(service).descriptors).toBeLessThan(150), {
    timeout: 60_000,
    interval: 500,
  });
  const end = useOf(service);
  console.log(JSON.stringify({ warm, end }));
  return { isAlive, uncaught, grownMb: end.residentMb - warm.residentMb };
}

const timeout = seconds * 1000 + 180_000;
const ping = 'GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const activate =
  'POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

test('no request ends the API', { timeout }, async () => {
  const args = ['api', '--state-dir', join(folder, 'state'), '--socket', join(folder, 's')];
  expect(await fuzz(await start(command, args, 'is served at'), api, ping)).toEqual(good);
});

test('no request and no answer of an engine ends the API that passes requests on', { timeout }, async () => {
  const engine = opened.use(await startOddEngine(join(folder, 'engine'), dice('odd engine')));
  const args = ['api', '--state-dir', join(folder, 'state'), '--socket', join(folder, 's')];
  const service = await start(
    command,
    [...args, '--upstream', `unix://${engine.socketPath}`],
    'is served at',
  );
  expect(await fuzz(service, api, 'GET /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toEqual(
    good,
  );
  await vi.waitFor(() => expect(engine.openConnections()).toBeLessThan(65), {
    timeout: 60_000,
    interval: 500,
  });
});

test('no request ends the plugin', { timeout }, async () => {
  const args = ['plugin', '--state-dir', join(folder, 'state'), '--socket', join(folder, 's')];
  expect(await fuzz(await start(command, args, 'are served to Docker'), plugin, activate)).toEqual(good);
});

test('no request ends the daemon that serves metrics', { timeout }, async () => {
  const port = await freePort();
  const [state, at] = [join(folder, 'state'), `127.0.0.1:${port}`];
  const args = ['daemon', '--host', 'embedded', '--state-dir', state, '--metrics', at];
  const scrape = 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n';
  const service = await start(command, args, 'Metrics are served', { host: '127.0.0.1', port });
  expect(await fuzz(service, metrics, scrape)).toEqual(good);
});

test('no request ends the managed plugin', { timeout }, async () => {
  const [from, shown] = [join(folder, 'from'), join(folder, 'shown')];
  const socket = join(folder, 's');
  // As a container has them: the host's folder, and the propagated mount, by which its parent sees what it mounts.
  for (const [place, propagation] of [
    [from, '--make-private'],
    [shown, '--make-shared'],
  ] as const) {
    mkdirSync(place);
    execFileSync('mount', ['--bind', place, place]);
    execFileSync('mount', [propagation, place]);
  }
  try {
    const args = ['--mount', '--propagation', 'unchanged', command, 'plugin', '--socket', socket];
    args.push('--state-dir', join(shown, 'state'), '--state-from', from);
    expect(await fuzz(await start('unshare', args, 'are served to Docker'), plugin, activate)).toEqual(good);
  } finally {
    for (const place of [shown, from]) execFileSync('umount', ['--recursive', '--lazy', place]);
  }
});
