import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { type Container, type Containers, type ExecRun, trialLabel } from '../../src/hosts/containers.ts';
import type { Host } from '../../src/hosts/host.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';

let engine: PrivateEngine;
let host: Host;
let containers: Containers;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await engine.importBusybox();
  host = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost } });
  if (host.containers === undefined) throw new Error('this host has no containers');
  containers = host.containers;
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

async function start(name: string, args: readonly string[] = [], command = ['sleep', '1000']): Promise<void> {
  // Its first process exits at once on SIGTERM.
  await engine.docker([
    'run',
    '-d',
    '--init=false',
    '--stop-signal',
    'KILL',
    '--name',
    name,
    ...args,
    'busybox',
    ...command,
  ]);
}

async function collect(run: ExecRun): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of run.stdout) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

async function stateOf(name: string): Promise<string | undefined> {
  return (await containers.find(name))?.state;
}

describe('what a container is', () => {
  test('reports everything that a container has', async () => {
    await start('shop-web-1', [
      ...['-v', 'shop_pg:/data', '-v', '/etc:/host-etc:ro', '--tmpfs', '/scratch'],
      ...['-e', 'PASSWORD=a=b c', '-e', '__proto__=x', '-u', '1000:1000', '--restart', 'unless-stopped'],
      ...['-l', 'com.docker.compose.project=shop', '-l', 'com.docker.compose.service=web'],
      ...['-l', 'com.docker.compose.container-number=1', '--stop-timeout', '33'],
      ...['-l', 'com.docker.compose.depends_on=db:service_healthy:false,cache:service_started:true'],
    ]);
    const found = await containers.find('shop-web-1');
    expect(found).toMatchObject({
      name: 'shop-web-1',
      stack: 'shop',
      service: 'web',
      number: 1,
      swarmService: undefined,
      image: 'busybox',
      imageId: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      state: 'running',
      health: 'none',
      exitCode: undefined,
      restarts: true,
      dependsOn: ['db', 'cache'],
      environment: { PASSWORD: 'a=b c' },
      command: ['sleep', '1000'],
      user: '1000:1000',
      startedAt: expect.stringMatching(/^20\d\d-/),
      finishedAt: undefined,
      joins: [],
      volumesFrom: [],
      stopTimeoutMs: 33_000,
    });
    expect(Object.getOwnPropertyDescriptor(found?.environment, '__proto__')?.value).toBe('x');
    expect(found?.mounts.toSorted((a, b) => (a.destination < b.destination ? -1 : 1))).toEqual([
      { type: 'volume', source: 'shop_pg', destination: '/data', readOnly: false },
      { type: 'bind', source: '/etc', destination: '/host-etc', readOnly: true, propagation: 'rprivate' },
      { type: 'tmpfs', source: undefined, destination: '/scratch', readOnly: false, memoryOptions: '' },
    ]);
    expect(existsSync(`/proc/${found?.pid}`)).toBe(true);
    const joining = ['--network', 'container:shop-web-1', '--pid', 'container:shop-web-1'];
    await engine.docker([
      ...['create', '--name', 'plain', ...joining, '--volumes-from', 'shop-web-1:ro', '--stop-timeout', '-1'],
      ...['busybox', 'sleep', '1'],
    ]);
    expect((await containers.list()).map(({ name }) => name)).toEqual(['plain', 'shop-web-1']);
    expect(await containers.find('plain')).toMatchObject({
      state: 'created',
      pid: undefined,
      startedAt: undefined,
      restarts: false,
      dependsOn: [],
      stack: undefined,
      joins: [found?.id],
      volumesFrom: ['shop-web-1'],
      stopTimeoutMs: Infinity,
    });
  });

  test('a container is found by its name and its id, and not by similar ones', async () => {
    const found = await containers.find('shop-web-1');
    const id = found?.id ?? '';
    expect((await containers.find(id))?.name).toBe('shop-web-1');
    expect((await containers.find(id.slice(0, 12)))?.name).toBe('shop-web-1');
    // The engine itself would accept these.
    expect(await containers.find(id.slice(0, 3))).toBeUndefined();
    for (const hostile of ['', '.', '..', 'no-such', '../volumes', 'a/b', 'a?b', 'ä'])
      expect(await containers.find(hostile)).toBeUndefined();
  });

  test('health is reported as it changes', async () => {
    const check = ['--health-cmd', 'test -e /tmp/well', '--health-interval', '1s', '--health-retries', '1'];
    await start('patient', check);
    expect((await containers.find('patient'))?.health).toBe('starting');
    await engine.docker(['exec', 'patient', 'touch', '/tmp/well']);
    await expect.poll(async () => (await containers.find('patient'))?.health).toBe('healthy');
    await engine.docker(['exec', 'patient', 'rm', '/tmp/well']);
    await expect.poll(async () => (await containers.find('patient'))?.health).toBe('unhealthy');
    await engine.docker(['rm', '-f', 'patient']);
  });
});

describe('to stop, start, pause and unpause', () => {
  test('each may be repeated', async () => {
    await start('pawn');
    const { id } = (await containers.find('pawn')) ?? { id: '' };
    for (const _ of [1, 2]) {
      await containers.pause(id);
      expect(await stateOf('pawn')).toBe('paused');
    }
    for (const _ of [1, 2]) {
      await containers.unpause(id);
      expect(await stateOf('pawn')).toBe('running');
    }
    for (const _ of [1, 2]) {
      await containers.stop(id, { timeoutMs: 1000 });
      expect(await containers.find('pawn')).toMatchObject({ state: 'exited', pid: undefined, exitCode: 137 });
    }
    for (const _ of [1, 2]) {
      await containers.start(id);
      expect(await stateOf('pawn')).toBe('running');
    }
  });

  test('a process that does not exit is killed after the time-out', async () => {
    await start(
      'stubborn',
      ['--stop-signal', 'TERM'],
      ['sh', '-c', 'trap "" TERM; while true; do sleep 1; done'],
    );
    const before = performance.now();
    await containers.stop('stubborn', { timeoutMs: 1000 });
    expect(performance.now() - before).toBeGreaterThan(900);
    expect(await stateOf('stubborn')).toBe('exited');
  });

  test('a container has its own stop time-out, unless another is given', async () => {
    await start(
      'unhurried',
      ['--stop-signal', 'TERM', '--stop-timeout', '3'],
      ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'],
    );
    const before = performance.now();
    await containers.stop('unhurried', {});
    expect(performance.now() - before).toBeGreaterThan(2900);
    expect(await containers.find('unhurried')).toMatchObject({ state: 'exited', exitCode: 137 });
  });

  test('reports whether the engine was asked to stop an exited container since a time that it remembers', async () => {
    const beforeAllMs = Date.now() - 3_600_000;
    await start('asked', [], ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done']);
    await start('fallen', [], ['sh', '-c', 'sleep 0.5; exit 3']);
    await expect.poll(() => stateOf('fallen')).toBe('exited');
    await sleep(1500);
    const sinceMs = Date.now();
    await containers.stop('asked', {});
    const [asked, fallen] = [await containers.find('asked'), await containers.find('fallen')];
    expect(asked?.finishedAt).toMatch(/^20\d\d-/);
    const ask = (id = '', fromMs: number): Promise<boolean> => containers.wasAskedToEnd(id, fromMs);
    expect(await ask(asked?.id, sinceMs)).toBe(true);
    expect(await ask(fallen?.id, sinceMs)).toBe(false);
    expect(await ask(asked?.id, beforeAllMs)).toBe(false);
    expect(await ask(asked?.id, Date.now())).toBe(false);
    expect(Math.abs(await containers.clockAheadMs())).toBeLessThan(60_000);
  });

  test('a paused container can be stopped, and one in a restart loop too', async () => {
    await start('frozen');
    await containers.pause('frozen');
    await containers.stop('frozen', { timeoutMs: 1000 });
    expect(await stateOf('frozen')).toBe('exited');
    await start('looper', ['--restart', 'always'], ['false']);
    await containers.stop('looper', { timeoutMs: 1000 });
    expect(await stateOf('looper')).toBe('exited');
    await sleep(1500);
    expect(await stateOf('looper')).toBe('exited');
  });

  test('an impossible action says why, with the name', async () => {
    await expect(containers.pause('frozen')).rejects.toMatchObject({
      code: 'conflict',
      message: 'Cannot pause container "frozen"',
      detail: expect.stringContaining('not running'),
    });
    await expect(containers.unpause('frozen')).rejects.toMatchObject({
      message: 'Cannot unpause container "frozen"',
    });
    await containers.pause('pawn');
    await expect(containers.start('pawn')).rejects.toMatchObject({ hint: 'It is paused: unpause it.' });
    await containers.unpause('pawn');
    for (const verb of ['start', 'pause', 'unpause'] as const)
      await expect(containers[verb]('nobody')).rejects.toMatchObject({ code: 'not-found' });
    await expect(containers.stop('nobody', {})).rejects.toMatchObject({ code: 'not-found' });
    await engine.docker([
      'volume',
      'create',
      '-o',
      'type=none',
      '-o',
      'o=bind',
      '-o',
      'device=/no/such',
      'lost',
    ]);
    await engine.docker(['create', '--name', 'homeless', '-v', 'lost:/data', 'busybox', 'sleep', '1']);
    await expect(containers.start('homeless')).rejects.toMatchObject({
      code: 'failed',
      message: 'Cannot start container "homeless"',
      detail: expect.stringContaining('/no/such'),
    });
  });
});

describe('to run a command in a container', () => {
  beforeAll(() => start('box'));

  test('separates its stdout, its stderr and its exit code', async () => {
    const run = await containers.exec('box', { command: ['sh', '-c', 'echo out; echo bad >&2; exit 3'] });
    expect(await collect(run)).toBe('out\n');
    expect(await run.ended).toEqual({ exitCode: 3, stderr: 'bad\n' });
  });

  test('passes arguments unchanged, and user, folder and environment too', async () => {
    const hostile = ['$(touch /tmp/pwned)', '; rm -rf /', 'a b', '', '\'"', 'ä\n'];
    const run = await containers.exec('box', {
      command: ['sh', '-c', 'printf "<%s>" "$@"; id -u; pwd; echo "$SECRET"', 'sh', ...hostile],
      user: '4711',
      workingDir: '/tmp',
      environment: { SECRET: `p"a'ss$x=` },
    });
    expect(await collect(run)).toBe(`${hostile.map((one) => `<${one}>`).join('')}4711\n/tmp\np"a'ss$x=\n`);
    expect((await run.ended).exitCode).toBe(0);
  });

  test('returns all input, though it exceeds the buffers', async () => {
    const piece = Buffer.alloc(1 << 20, 'holdfast');
    async function* stdin(): AsyncIterable<Uint8Array> {
      for (let count = 0; count < 48; count += 1) yield piece;
    }
    const run = await containers.exec('box', { command: ['cat'], stdin: stdin() });
    let length = 0;
    for await (const chunk of run.stdout) {
      if (length === 0) await sleep(300);
      length += chunk.length;
    }
    expect(length).toBe(48 << 20);
    expect(await run.ended).toEqual({ exitCode: 0, stderr: '' });
  });

  test('a command with unread output waits, and does not fill our memory', async () => {
    const run = await containers.exec('box', {
      command: ['sh', '-c', 'echo $$ > /tmp/pid; exec cat /dev/zero'],
    });
    const before = process.memoryUsage().arrayBuffers;
    await sleep(1000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
    const cpu = (): Promise<string> =>
      engine.docker(['exec', 'box', 'sh', '-c', 'cut -d" " -f14,15 /proc/$(cat /tmp/pid)/stat']);
    const rests = async (): Promise<boolean> => {
      const first = await cpu();
      await sleep(500);
      return (await cpu()) === first;
    };
    await expect.poll(rests).toBe(true);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
    // Leaving the loop ends the stream.
    for await (const _ of run.stdout) break;
    await run.ended;
    await expectNoProcess('/dev/zero');
  });

  test('keeps only the end of endless stderr', async () => {
    const run = await containers.exec('box', {
      command: [
        'sh',
        '-c',
        'i=0; while [ $i -lt 20000 ]; do echo "complaint $i" >&2; i=$((i+1)); done; exit 1',
      ],
    });
    const { stderr, exitCode } = await run.ended;
    expect(exitCode).toBe(1);
    expect(stderr.length).toBe(64 << 10);
    expect(stderr.endsWith('complaint 19999\n')).toBe(true);
  });

  test('a command that does not exist fails, and one that does not read its input may exit', async () => {
    const missing = await containers.exec('box', { command: ['no-such-command'] });
    expect((await missing.ended).exitCode).toBeGreaterThanOrEqual(126);
    async function* endless(): AsyncIterable<Uint8Array> {
      for (;;) {
        await sleep(1);
        yield Buffer.alloc(65_536);
      }
    }
    const deaf = await containers.exec('box', { command: ['true'], stdin: endless() });
    expect((await deaf.ended).exitCode).toBe(0);
  });

  test('an input that fails ends the command, and its error is the one that is reported', async () => {
    async function* broken(): AsyncIterable<Uint8Array> {
      yield Buffer.from('half');
      throw new Error('the source broke');
    }
    const run = await containers.exec('box', { command: ['sh', '-c', 'cat; sleep 997'], stdin: broken() });
    await expect(run.ended).rejects.toThrow('the source broke');
    await expect(collect(run)).rejects.toThrow('the source broke');
    await expectNoProcess('sleep 997');
  });

  test('cancelling ends the command and its children, by force if necessary', async () => {
    const controller = new AbortController();
    const run = await containers.exec(
      'box',
      { command: ['sh', '-c', 'trap "" TERM; sleep 998 & echo up; wait; sleep 998'] },
      { signal: controller.signal },
    );
    expect.assertions(3);
    for await (const chunk of run.stdout) {
      expect(Buffer.from(chunk).toString()).toBe('up\n');
      controller.abort();
      break;
    }
    await expect(run.ended).rejects.toMatchObject({ code: 'cancelled' });
    await expectNoProcess('sleep 998');
  });

  test('a stopped or paused container runs nothing', async () => {
    await expect(containers.exec('frozen', { command: ['true'] })).rejects.toMatchObject({
      code: 'conflict',
      message: 'Cannot run "true" in container "frozen": it does not run',
    });
    await containers.pause('box');
    await expect(containers.exec('box', { command: ['true'] })).rejects.toMatchObject({
      message: 'Cannot run "true" in container "box": it is paused',
    });
    await containers.unpause('box');
    await expect(containers.exec('nobody', { command: ['true'] })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  test('a container that dies while a command runs is no success', async () => {
    await start('mortal');
    const run = await containers.exec('mortal', { command: ['sleep', '1000'] });
    await engine.docker(['kill', 'mortal']);
    expect((await run.ended).exitCode).not.toBe(0);
  });

  async function expectNoProcess(words: string): Promise<void> {
    expect(
      await engine.docker([
        'exec',
        'box',
        'sh',
        '-c',
        'ps | grep -v grep | grep -F "$1" || true',
        'sh',
        words,
      ]),
    ).toBe('');
  }
});

describe('a trial', () => {
  const labels = { [trialLabel]: 'one' };

  test('is isolated: no network, no ports, its volumes unchanged', async () => {
    await engine.docker(['volume', 'create', 'copy']);
    const trial = await containers.startTrial({
      name: 'trial-alone',
      image: 'busybox',
      command: ['sleep', '1000'],
      environment: { A: 'b c' },
      volumes: { '/data': 'copy' },
      labels,
    });
    expect(trial).toMatchObject({ state: 'running', labels, environment: { A: 'b c' } });
    const run = await containers.exec(trial.id, {
      command: ['sh', '-c', 'ls /sys/class/net; touch /data/f'],
    });
    expect(await collect(run)).toBe('lo\n');
    expect(existsSync(`${engine.volumePath('copy')}/f`)).toBe(true);
    expect(await engine.docker(['port', 'trial-alone'])).toBe('');
    for (const _ of [1, 2]) await containers.remove(trial.id);
    expect(await containers.find('trial-alone')).toBeUndefined();
    expect(existsSync(`${engine.volumePath('copy')}/f`)).toBe(true);
  });

  test('has its files before it starts', async () => {
    const content = Buffer.alloc(1_000_000, 'x');
    const entry = { type: 'file', mode: 0o640, uid: 7, gid: 8, mtimeNs: 0n, size: content.length } as const;
    const trial = await containers.startTrial({
      name: 'trial-files',
      image: 'busybox',
      command: ['sh', '-c', 'stat -c "%a %u %g %s" "/etc/app/the conf" > /seen; exec sleep 1000'],
      environment: {},
      volumes: {},
      files: [{ entry: { ...entry, path: 'etc/app/the conf' }, content }],
      labels,
    });
    const seen = async (): Promise<string> =>
      collect(await containers.exec(trial.id, { command: ['cat', '/seen'] }));
    await expect.poll(seen).toBe('640 7 8 1000000\n');
    await containers.remove(trial.id);
  });

  test('trials of one stack reach each other by name, and nothing else, whatever forwarding the machine forbids', async () => {
    // A Docker Engine on the machine leaves these rules.
    await using _rules = await forbidForwarding();

    const network = (alias: string) => ({ name: 'trial-net', alias });
    const request = { image: 'busybox', environment: {}, volumes: {}, labels };
    const web = await containers.startTrial({
      ...request,
      name: 'trial-web',
      command: ['httpd', '-f', '-p', '80', '-h', '/etc'],
      network: network('web'),
    });
    const asker = await containers.startTrial({
      ...request,
      name: 'trial-asker',
      command: ['sleep', '1000'],
      network: network('asker'),
    });
    const ask = async (url: string): Promise<number> => {
      const run = await containers.exec(asker.id, { command: ['wget', '-q', '-T', '3', '-O', '-', url] });
      for await (const _ of run.stdout);
      return (await run.ended).exitCode;
    };
    expect(await ask('http://web/hostname')).toBe(0);
    expect(await engine.docker(['network', 'inspect', '-f', '{{.Internal}}', 'trial-net'])).toBe('true');
    const routes = await containers.exec(asker.id, { command: ['ip', 'route'] });
    expect(await collect(routes)).not.toContain('default');
    await containers.remove(web.id);
    expect(await engine.docker(['network', 'ls', '-q', '-f', 'name=trial-net'])).not.toBe('');
    await containers.remove(asker.id);
    expect(await engine.docker(['network', 'ls', '-q', '-f', 'name=trial-net'])).toBe('');
  });

  test('an existing network of that name that is not isolated is refused', async () => {
    await engine.docker(['network', 'create', 'open-net']);
    await expect(
      containers.startTrial({
        ...{ name: 'trial-open', image: 'busybox', environment: {}, volumes: {}, labels },
        network: { name: 'open-net', alias: 'x' },
      }),
    ).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('"open-net"') });
    expect(await engine.docker(['network', 'ls', '-q', '-f', 'name=open-net'])).not.toBe('');
  });

  test('an image that the engine lacks is reported, and nothing stays', async () => {
    const before = await leftovers();
    await expect(
      containers.startTrial({
        name: 'trial-lost',
        image: 'registry.invalid/some/thing:9',
        environment: {},
        volumes: {},
        labels,
        network: { name: 'trial-net-lost', alias: 'x' },
      }),
    ).rejects.toMatchObject({ code: 'not-found', message: expect.stringContaining('some/thing:9') });
    await expect(
      containers.startTrial({
        name: 'trial-broken',
        image: 'busybox',
        command: ['no-such-command'],
        environment: {},
        volumes: {},
        labels,
      }),
    ).rejects.toMatchObject({ message: 'Cannot start container "trial-broken"' });
    expect(await leftovers()).toBe(before);
  });

  test("another program's container of that name is left alone", async () => {
    await expect(
      containers.startTrial({
        name: 'box',
        image: 'busybox',
        command: ['true'],
        environment: {},
        volumes: {},
        labels,
      }),
    ).rejects.toMatchObject({ code: 'conflict' });
    expect(await stateOf('box')).toBe('running');
  });

  async function leftovers(): Promise<string> {
    return `${await engine.docker(['ps', '-aq'])} ${await engine.docker(['network', 'ls', '-q'])}`;
  }
});

test('the end of the output of a container can be read, without terminal control sequences', async () => {
  await start(
    'talker',
    [],
    [
      'sh',
      '-c',
      'for i in 1 2 3 4; do echo "line $i"; done; sleep 0.3; printf "\\033[31mred\\n" >&2; sleep 1000',
    ],
  );
  await expect.poll(() => containers.logs('talker', { lines: 2 })).toContain('red');
  expect(await containers.logs('talker', { lines: 2 })).toBe('line 4\n\\u001b[31mred\n');
  await start('teller', ['-t'], ['sh', '-c', 'echo "on a terminal"; sleep 1000']);
  await expect.poll(() => containers.logs('teller')).toBe('on a terminal\n');
  await expect(containers.logs('nobody')).rejects.toMatchObject({ code: 'not-found' });
});

test('the private engine has a network of its own', async () => {
  expect(await readlink(`/proc/${engine.pid}/ns/net`)).not.toBe(await readlink('/proc/self/ns/net'));
});

describe('a service of a swarm', () => {
  beforeAll(async () => {
    await engine.docker([
      'swarm',
      'init',
      '--advertise-addr',
      '127.0.0.1',
      '--listen-addr',
      '127.0.0.1:23771',
    ]);
    const common = ['service', 'create', '-d', '--network', 'host', '--stop-grace-period', '1s'];
    await engine.docker([...common, '--name', 'many', '--replicas', '2', 'busybox', 'sleep', '1000']);
    await engine.docker([...common, '--name', 'everywhere', '--mode', 'global', 'busybox', 'sleep', '1000']);
  });

  test('is scaled, and the call returns when that many tasks run', async () => {
    await expect.poll(async () => (await runningTasks()).length).toBe(2);
    const [task] = await runningTasks();
    expect(task).toMatchObject({
      swarmService: 'many',
      stack: undefined,
      name: expect.stringMatching(/^many\.\d\./),
    });
    expect(await containers.serviceReplicas('many')).toBe(2);
    const sinceMs = Date.now();
    expect(await containers.wereTasksKilled('many', sinceMs)).toBe(false);
    for (const replicas of [0, 0, 3]) {
      await containers.scaleService('many', replicas);
      expect(await containers.serviceReplicas('many')).toBe(replicas);
      expect((await runningTasks()).length).toBe(replicas);
    }
    // No process in it handles its signal.
    expect(await containers.wereTasksKilled('many', sinceMs)).toBe(true);
  });

  test('is scaled back to its former size even when not all of its tasks can run', async () => {
    // The machine has too little memory for two of them.
    const room = ['--reserve-memory', String(Math.floor(totalmem() * 0.6))];
    const common = ['service', 'create', '-d', '--network', 'host', '--stop-grace-period', '1s'];
    await engine.docker([
      ...common,
      ...room,
      '--name',
      'partly',
      '--replicas',
      '2',
      'busybox',
      'sleep',
      '1000',
    ]);
    const running = (): Promise<number> => containers.runningTasks('partly');
    await expect.poll(running).toBe(1);
    await containers.scaleService('partly', 0);
    expect(await running()).toBe(0);
    await containers.scaleService('partly', 2, { atLeast: 1 });
    expect(await running()).toBe(1);
    expect(await containers.serviceReplicas('partly')).toBe(2);
    await engine.docker(['service', 'rm', 'partly']);
  });

  test('without a number of replicas, or that does not exist, is reported', async () => {
    expect(await containers.serviceReplicas('everywhere')).toBeUndefined();
    await expect(containers.scaleService('everywhere', 0)).rejects.toMatchObject({ code: 'unsupported' });
    await expect(containers.scaleService('no-such', 0)).rejects.toMatchObject({ code: 'not-found' });
  });

  async function runningTasks(): Promise<Container[]> {
    const all = await containers.list();
    return all.filter(({ swarmService, state }) => swarmService === 'many' && state === 'running');
  }
});

/** Drops packets between containers on a bridge of the machine until disposed. */
async function forbidForwarding(): Promise<AsyncDisposable> {
  const change = async (flag: '-I' | '-D'): Promise<void> => {
    await promisify(execFile)('iptables', ['-w', flag, 'FORWARD', '-i', 'br-+', '-j', 'DROP']);
  };
  await change('-I');
  return { [Symbol.asyncDispose]: () => change('-D') };
}

test('reports what an image declares, and nothing for one that the engine does not have', async () => {
  await engine.docker(['create', '--name', 'declares', 'busybox', 'true']);
  const changes = ['USER 999:0', 'VOLUME /data', 'ENV PGDATA=/data/a=b'].flatMap((line) => ['-c', line]);
  const id = await engine.docker(['commit', ...changes, 'declares', 'shop/declares:1']);
  expect(await containers.findImage('shop/declares:1')).toEqual({
    id,
    user: '999:0',
    volumes: ['/data'],
    environment: expect.objectContaining({ PGDATA: '/data/a=b' }),
  });
  expect(await containers.findImage('busybox')).toMatchObject({ user: '', volumes: [] });
  expect(await containers.findImage('shop/absent:1')).toBeUndefined();
});

test('a small file of a container is read, running or not, and nothing else', async () => {
  await start(
    'has-files',
    [],
    ['sh', '-c', 'mkdir /etc/d; echo content > /etc/f; ln -s f /etc/l; sleep 1000'],
  );
  const { id } = (await containers.find('has-files'))!;
  const read = async (path: string): Promise<string | undefined> => {
    const content = await containers.readFile(id, path);
    return content === undefined ? undefined : Buffer.from(content).toString();
  };
  await expect.poll(() => read('/etc/f')).toBe('content\n');
  expect(await read('/etc/d')).toBeUndefined();
  expect(await read('/etc/l')).toBeUndefined();
  expect(await read('/etc/absent')).toBeUndefined();
  await engine.docker(['kill', 'has-files']);
  expect(await read('/etc/f')).toBe('content\n');
});
