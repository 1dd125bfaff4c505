import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { openApp } from '../../src/app.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { command } from '../support/holdfast-command.ts';

let engine: PrivateEngine;
let stateDir: string;
let app: App;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await engine.importBusybox();
  stateDir = join(engine.folder, 'state');
  await mkdir(stateDir);
  app = open();
  await app.recoverAtStart('host');
  await app.repositories.init();
  await start();
});
afterAll(async () => {
  await app?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

function open(): App {
  return openApp({
    stateDir,
    host: 'docker',
    dataWay: 'auto',
    repository: undefined,
    passwordReference: undefined,
    env: { ...process.env, DOCKER_HOST: engine.dockerHost },
  });
}

/** Starts a stack with every kind of mount, as Compose would from a file on this machine. */
async function start(): Promise<void> {
  const file = join(engine.folder, 'compose.yaml');
  writeFileSync(
    file,
    `services:\n  db:\n    x-holdfast: { schedule: '15 4 * * *' }\nvolumes:\n  data:\n    x-holdfast: { keep: { daily: 3 } }\n  temp:\n    x-holdfast: { backup: false }\n`,
  );
  const project = ['com.docker.compose.project=shop', `com.docker.compose.project.config_files=${file}`];
  for (const key of ['data', 'temp']) {
    const labels = ['com.docker.compose.project=shop', `com.docker.compose.volume=${key}`].flatMap(
      (label) => ['--label', label],
    );
    await engine.docker(['volume', 'create', ...labels, `shop_${key}`]);
  }
  await mkdir(join(engine.folder, 'conf'));
  await engine.docker([
    ...['run', '-d', '--init=false', '--stop-signal', 'KILL', '--name', 'shop-db-1'],
    ...project.flatMap((label) => ['-l', label]),
    ...['-l', 'com.docker.compose.service=db'],
    ...[
      '-v',
      'shop_data:/data',
      '-v',
      'shop_temp:/temp',
      '-v',
      '/anonymous',
      '-v',
      `${join(engine.folder, 'conf')}:/conf:ro`,
    ],
    ...['--tmpfs', '/scratch', '-v', `${engine.socket}:/var/run/docker.sock`],
    ...['busybox', 'sh', '-c', 'echo kept > /data/file; exec sleep 1000'],
  ]);
  await engine.docker(['volume', 'create', '--label', 'holdfast.policy=weekly', 'labelled']);
  await engine.docker(['volume', 'create', 'web']);
}

/** An engine sees the volumes of all plugins on the machine, also those of other tests. */
const mine = (name: string): boolean => /^(?:shop_|web$|labelled$|shop-|\/|[0-9a-f]{64}$)/.test(name);

function configure(yaml: string): void {
  writeFileSync(join(stateDir, 'holdfast.yaml'), yaml);
}

const policies = `policies:
  rest: { schedule: '30 3 * * *', keep: { last: 5 } }
  weekly: { volumes: none-of-these, schedule: '@weekly' }
`;

test('labels go before x-holdfast, and x-holdfast before the policy', async () => {
  configure(policies);
  const { runs } = await app.policies.nextRuns();
  const daily = runs
    .filter(({ action, name }) => action === 'backup' && mine(name))
    .map(({ name, policy, time }) => [
      name.length > 20 ? 'anonymous' : name,
      policy,
      new Date(time).getMinutes(),
    ]);
  expect(Object.fromEntries(daily.map(([name, ...rest]) => [name, rest]))).toEqual({
    shop_data: ['rest', 15],
    anonymous: ['rest', 15],
    web: ['rest', 30],
    labelled: ['weekly', 0],
  });
  expect((await app.policies.show('rest')).covers.map(({ name }) => name)).not.toContain('shop_temp');
});

test('every kind of mount is in the coverage, before and after a run', async () => {
  configure(policies);
  const states = async () => {
    const { places } = await app.policies.coverage();
    return Object.fromEntries(
      places
        .filter(({ name }) => mine(name))
        .map(({ name, kind, state }) => [kind === 'anonymous' ? kind : name, [kind, state]]),
    );
  };
  const conf = join(engine.folder, 'conf');
  expect(await states()).toEqual({
    shop_data: ['volume', 'unprotected'],
    shop_temp: ['volume', 'cache'],
    anonymous: ['anonymous', 'unprotected'],
    labelled: ['volume', 'unprotected'],
    web: ['volume', 'unprotected'],
    // It lies below /tmp.
    [conf]: ['bind', 'cache'],
    'shop-db-1:/scratch': ['tmpfs', 'cache'],
    [engine.socket]: ['bind', 'cache'],
  });
  configure(`${policies}  conf: { paths: ${conf}, schedule: '@daily' }\n`);
  for (const name of ['rest', 'weekly', 'conf']) {
    const { backups } = await app.policies.run({ name, dryRun: false });
    expect(backups.filter(({ name }) => mine(name)).flatMap(({ error }) => error?.message ?? [])).toEqual([]);
  }
  const after = await states();
  expect(Object.values(after).filter(([, state]) => state === 'unprotected')).toEqual([]);
  expect(after[conf]).toEqual(['bind', 'protected']);
});

test('bind mounts of a stack are saved with its volumes, without those of the machine', async () => {
  const site = join(engine.folder, 'site');
  await mkdir(site);
  writeFileSync(join(site, 'index.html'), 'hello');
  const socket = `${engine.socket}:/var/run/docker.sock`;
  const labels = ['-l', 'com.docker.compose.project=shop', '-l', 'com.docker.compose.service=site'];
  const mounts = ['-v', `${site}:/site`, '-v', socket, '-v', '/proc:/host/proc:ro'];
  await engine.docker(['create', '--name', 'shop-site-1', ...labels, ...mounts, 'busybox', 'true']);
  try {
    configure(`policies:\n  shop: { stacks: shop, bind-mounts: true, schedule: '@daily' }\n`);
    const { backups } = await app.policies.run({ name: 'shop', dryRun: false });
    const conf = join(engine.folder, 'conf');
    const paths = backups.filter(({ kind }) => kind === 'path');
    expect(paths.map(({ name, outcome }) => [name, outcome])).toEqual([
      [conf, 'good'],
      [site, 'good'],
    ]);
    const { places } = await app.policies.coverage();
    const found = places.filter(({ kind, stack }) => kind === 'bind' && stack === 'shop');
    expect(found.map(({ name, state }) => [name, state])).toEqual([
      [conf, 'protected'],
      [site, 'protected'],
      ['/proc', 'cache'],
      [engine.socket, 'cache'],
    ]);
  } finally {
    await engine.docker(['rm', '-f', 'shop-site-1']);
  }
});

describe('setup', () => {
  const folder = (): string => join(engine.folder, 'from-nothing');
  const own = (): string => join(folder(), 'state');
  const file = (): string => join(own(), 'holdfast.yaml');

  async function setup(...args: string[]): Promise<{ exit: number | null; stdout: string; stderr: string }> {
    const env = { ...engine.env, DOCKER_HOST: engine.dockerHost, HOLDFAST_STATE_DIR: own() };
    const child = spawn(command, ['setup', ...args], { env, stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.end();
    const [exit] = (await once(child, 'close')) as [number | null];
    return { exit, stdout, stderr };
  }

  test('goes from nothing to a first backup of volumes and bind mounts, and changes nothing the second time', async () => {
    await mkdir(folder());
    const repo = ['--repo', join(folder(), 'repo')];
    // Without a terminal, nothing is asked, and nothing is done without a flag.
    expect(await setup()).toMatchObject({ exit: 2, stderr: expect.stringContaining('Say it with --repo') });
    const refused = await setup(...repo, '--no-service');
    expect(refused).toMatchObject({ exit: 2, stderr: expect.stringContaining('Add --yes') });
    const wrong = await setup(...repo, '--yes', '--schedule', '99 * * * *');
    expect(wrong).toMatchObject({ exit: 2, stdout: '' });
    const dry = await setup(...repo, '--dry-run');
    expect(dry).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^Found Docker [^]*nightly:/) });
    expect(existsSync(file())).toBe(false);
    expect(existsSync(join(folder(), 'repo'))).toBe(false);

    const first = await setup(...repo, '--yes', '--no-service', '--format', 'json');
    // Each engine sees some volumes of the machine's plugins.
    expect([0, 3], first.stderr).toContain(first.exit);
    const report = JSON.parse(first.stdout) as {
      readonly repository: { readonly keyFile: string };
      readonly coverage: { readonly places: readonly { readonly name: string; readonly state: string }[] };
      readonly warnings: readonly string[];
    };
    expect(existsSync(report.repository.keyFile)).toBe(true);
    expect(report.warnings).toEqual([expect.stringContaining('is on the same disk as the volumes')]);
    const stateOf = (name: string): string | undefined =>
      report.coverage.places.find((place) => place.name === name)?.state;
    expect([stateOf('shop_data'), stateOf('web'), stateOf(join(engine.folder, 'conf'))]).toEqual([
      'protected',
      'protected',
      'protected',
    ]);
    expect(stateOf(engine.socket)).toBe('cache');

    // The user's changes stay to the letter.
    const edited = `# mine\n${readFileSync(file(), 'utf8')}   # and this\n`;
    writeFileSync(file(), edited);
    const second = await setup(...repo, '--yes', '--no-service');
    expect(second.stderr).toContain(`Stays as it is: the configuration "${file()}"`);
    expect(second.stdout).not.toContain('Saved');
    expect(readFileSync(file(), 'utf8')).toBe(edited);
  });
});

describe('the daemon', () => {
  test('saves a running stack, survives an engine that is down, prunes proven repositories, and leaves all running', async () => {
    writeFileSync(join(engine.folder, 'compose.yaml'), 'services: {}\n');
    configure(
      `policies:\n  often: { stacks: shop, schedule: '*/15 * * * * *', keep: { last: 1 }, prune: '*/20 * * * * *' }\n`,
    );
    const child = spawn(command, ['daemon', '--state-dir', stateDir, '--host', 'docker'], {
      env: { ...engine.env, DOCKER_HOST: engine.dockerHost },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = once(child, 'close');
    const says = async (text: string, after = 0): Promise<void> => {
      for (let tries = 0; tries < 1800; tries++) {
        if (said.includes(text, after)) return;
        await sleep(100);
      }
      throw new Error(`It did not say "${text}": ${said}`);
    };
    try {
      await says('"shop_data": saved as');
      await says('prune of "default": good');
      await engine.restart('SIGKILL');
      await engine.docker(['start', 'shop-db-1']);
      await says('"shop_data": saved as', said.length);
    } finally {
      child.kill('SIGTERM');
    }
    const [code] = (await ended) as [number | null];
    expect({ code, said: said.includes('The daemon has ended.') }).toEqual({ code: 0, said: true });
    expect(await engine.docker(['inspect', '-f', '{{.State.Running}} {{.State.Paused}}', 'shop-db-1'])).toBe(
      'true false',
    );
    await using fresh = open();
    await fresh.recoverAtStart('host');
    const report = await fresh.proof.check({ readDataPercent: 100 });
    expect(report.errors).toEqual([]);
    const history = await fresh.policies.history({ policy: 'often', limit: 500 });
    const good = history.filter(({ action, end }) => action === 'backup' && end?.outcome === 'good');
    const times = good.map(({ subject, scheduledAt }) => `${subject} ${scheduledAt}`);
    expect(new Set(times).size).toBe(times.length);
  }, 600_000);
});

describe('an engine at its usual place that is down', () => {
  const own = (): string => join(engine.folder, 'own-state');

  /** Runs the command with an engine at the usual place, or with none. */
  async function run(isUp: boolean, ...args: string[]): Promise<{ exit: number | null; text: string }> {
    const script = `mount -t tmpfs none /run && if [ -n "$SOCKET" ]; then touch /run/docker.sock && mount --bind "$SOCKET" /run/docker.sock; fi && exec "$@"`;
    const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', command, ...args], {
      cwd: engine.folder,
      env: {
        PATH: process.env['PATH'],
        HOME: engine.folder,
        TMPDIR: process.env['TMPDIR'],
        HOLDFAST_STATE_DIR: own(),
        SOCKET: isUp ? engine.socket : '',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const [exit] = (await once(child, 'close')) as [number | null];
    return { exit, text };
  }

  test('is an error wherever volumes are meant, and does not block snapshots and directories', async () => {
    const conf = join(engine.folder, 'conf');
    writeFileSync(join(conf, 'app.conf'), 'content');
    const nothing = await run(false, 'volume', 'ls', '--state-dir', join(engine.folder, 'no-state'));
    expect(nothing).toMatchObject({
      exit: 0,
      text: expect.stringContaining('No container engine was found'),
    });
    expect(await run(true, 'init', '--repo', join(engine.folder, 'own-repository'))).toMatchObject({
      exit: 0,
    });
    expect(await run(true, 'backup', 'web')).toMatchObject({ exit: 0 });
    writeFileSync(
      join(own(), 'holdfast.yaml'),
      `policies:\n  files: { paths: '${conf}' }\n  both: { paths: '${conf}', volumes: web }\n`,
    );
    for (const args of [
      ['backup', '--all'],
      ['backup', 'web'],
      ['coverage'],
      ['volume', 'ls'],
      ['volume', 'create', 'web'],
      ['volume', 'rm', 'web'],
      ['volume', 'prune', '--yes'],
      ['restore', 'web', '--yes'],
      ['restore', 'web', '--to', 'volume-of-another-name', '--yes'],
      ['diff', 'web'],
      ['policy', 'ls'],
      ['policy', 'next'],
    ]) {
      const { exit, text } = await run(false, ...args);
      expect({ args, exit, text }).toEqual({
        args,
        exit: 1,
        text: expect.stringMatching(
          /Cannot reach Docker at "unix:\/\/\/var\/run\/docker.sock"[^]*had the volumes/,
        ),
      });
    }
    expect((await run(false, 'log', '--kind', 'backup')).text).toMatch(/failed +all volumes/);
    for (const args of [
      ['snapshots', 'web'],
      ['ls', 'web'],
      ['restore', 'web', '--to', './rescued'],
      ['backup', conf],
      ['policy', 'run', 'files'],
      ['verify', '--all'],
      ['check'],
    ])
      expect({ args, ...(await run(false, ...args)) }).toEqual({ args, exit: 0, text: expect.any(String) });
    // The directory is saved all the same, but it is not everything.
    expect(await run(false, 'policy', 'run', 'both')).toMatchObject({ exit: 3 });
    expect((await run(false, 'snapshots', conf, '-q')).text.trim().split('\n')).toHaveLength(3);
    expect(await run(true, 'backup', 'web')).toMatchObject({ exit: 0 });
    // Managed volumes have to be asked for.
    expect(await run(false, 'volume', 'ls', '--host', 'embedded')).toMatchObject({ exit: 0 });
  }, 600_000);
});
