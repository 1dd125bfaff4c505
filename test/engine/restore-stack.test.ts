import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { onEngine } from '../support/on-engine.ts';
import { treeFacts } from '../support/tree-facts.ts';

const execute = promisify(execFile);

const on = onEngine();
let compose: string;
let device: string;
beforeAll(async () => {
  device = join(on.engine.folder, 'deep/down/uploads');
  compose = join(on.engine.folder, 'compose.yaml');
  writeFileSync(compose, composeFile(device));
});

/** A database, and a web server that depends on it and shares a volume with it. */
function composeFile(path: string): string {
  const service = (name: string, more: object): object => ({
    image: 'busybox',
    network_mode: 'none',
    stop_grace_period: '5s',
    command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'],
    healthcheck: { test: ['CMD', 'test', '!', '-f', `/${name}/sick`], interval: '300ms', retries: 2 },
    ...more,
  });
  return JSON.stringify({
    name: 'shop',
    services: {
      db: service('db', { volumes: ['db:/db'] }),
      web: service('uploads', { volumes: ['uploads:/uploads'], depends_on: ['db'] }),
    },
    volumes: {
      db: { labels: { tier: 'data' } },
      uploads: { driver: 'local', driver_opts: { type: 'none', o: 'bind', device: path } },
    },
  });
}

async function up(): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: on.engine.folder, DOCKER_HOST: on.engine.dockerHost };
  const args = ['compose', '-f', compose, '--progress', 'plain', 'up', '-d', '--wait'];
  const { stdout, stderr } = await execute('docker', args, { env });
  return stdout + stderr;
}

async function down(): Promise<void> {
  for (const name of ['shop-web-1', 'shop-db-1']) await on.engine.docker(['rm', '-f', name]);
}

const attempt = (...args: string[]): Promise<CliResult> => on.attempt(args);

const run = async (...args: string[]): Promise<string> => (await on.run(args)).stdout;

function facts(): string[][] {
  return [treeFacts(on.engine.volumePath('shop_db')), treeFacts(device)];
}

async function states(): Promise<string[]> {
  const format = '{{.State.Status}} {{.State.Health.Status}}';
  return (await on.engine.docker(['inspect', '-f', format, 'shop-db-1', 'shop-web-1'])).split('\n');
}

const well = ['running healthy', 'running healthy'];

function leftovers(): string[] {
  return ['journal', 'journal-apps'].flatMap(on.list);
}

describe('a stack', () => {
  test('is restored as one, with one stop, and undone as one', async () => {
    mkdirSync(device, { recursive: true });
    await up();
    writeFileSync(join(on.engine.volumePath('shop_db'), 'rows'), 'saved');
    writeFileSync(join(device, 'picture'), 'saved');
    const saved = facts();
    await run('backup', '--stack', 'shop', '--consistency', 'stop');
    writeFileSync(join(on.engine.volumePath('shop_db'), 'rows'), 'newer');
    rmSync(join(device, 'picture'));
    const newer = facts();

    const plan = await run('restore', '--stack', 'shop', '--dry-run');
    expect(plan).toContain('started again: "shop-web-1", "shop-db-1".');
    expect(facts()).toEqual(newer);
    const report = JSON.parse(await run('restore', '--stack', 'shop', '--yes', '--format', 'json')) as {
      stopped: string[];
      volumes: { name: string }[];
    };
    expect(report.stopped).toEqual(['shop-web-1', 'shop-db-1']);
    expect(report.volumes.map(({ name }) => name)).toEqual(['shop_db', 'shop_uploads']);
    expect(facts()).toEqual(saved);
    expect(await states()).toEqual(well);

    const kept = await run('undo', '--list');
    for (const name of ['shop_db', 'shop_uploads']) expect(kept).toContain(`${name} `);
    await run('undo', 'shop_db', '--yes');
    expect(facts()).toEqual(newer);
    await run('undo', '--yes');
    expect(facts()).toEqual(saved);
    expect(await states()).toEqual(well);
    expect(leftovers()).toEqual([]);
  });

  test('is what it was when one of its services does not come up', async () => {
    writeFileSync(join(device, 'sick'), '');
    await run('backup', '--stack', 'shop', '--consistency', 'live');
    rmSync(join(device, 'sick'));
    writeFileSync(join(on.engine.volumePath('shop_db'), 'rows'), 'newest');
    const before = facts();
    await expect.poll(states).toEqual(well);
    // Saved in use, it is no moment of the stack, so it is restored only by name.
    const sick = JSON.parse(await run('snapshots', '--stack', 'shop', '--format', 'json')) as {
      id: string;
    }[];
    const refused = await attempt(
      ...['restore', '--stack', `shop@${sick.at(-1)?.id}`, '--yes', '--health-timeout', '4s'],
    );
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain('"shop-web-1" did not come up');
    expect(facts()).toEqual(before);
    await expect.poll(states).toEqual(well);
    expect(leftovers()).toEqual([]);
  });

  test('is restored on an empty machine, and "docker compose up" starts it without a warning', async () => {
    const [first] = JSON.parse(await run('snapshots', 'shop_db', '--format', 'json')) as { id: string }[];
    await down();
    await on.engine.docker(['volume', 'rm', 'shop_db', 'shop_uploads']);
    rmSync(join(on.engine.folder, 'deep'), { recursive: true });
    // With the repository and its key, and nothing else of the old machine.
    using bare = new Cli();
    const env = { HOLDFAST_HOST: 'auto', DOCKER_HOST: on.engine.dockerHost };
    const key = join(on.cli.stateDir, 'keys/default.key');
    for (const args of [
      ['init', '--repo', on.cli.repository, '--password-file', key],
      ['restore', '--as-recorded', '--stack', `shop@${first?.id.slice(0, 12)}`],
    ])
      expect(await bare.attempt(args, { env })).toMatchObject({ exit: 0 });
    expect(readFileSync(join(on.engine.volumePath('shop_db'), 'rows'), 'utf8')).toBe('saved');
    expect(readFileSync(join(device, 'picture'), 'utf8')).toBe('saved');
    const told = await up();
    expect(told).not.toMatch(/warn|already exists|external/i);
    expect(await states()).toEqual(well);
    expect(await on.engine.docker(['exec', 'shop-web-1', 'cat', '/uploads/picture'])).toBe('saved');
    expect(await on.engine.docker(['volume', 'inspect', '-f', '{{.Labels.tier}}', 'shop_db'])).toBe('data');
  });

  test('is not half restored when one of its volumes cannot be', async () => {
    await down();
    await on.engine.docker(['volume', 'rm', 'shop_db', 'shop_uploads']);
    rmSync(join(on.engine.folder, 'deep'), { recursive: true });
    // The folder of the second volume cannot be made.
    writeFileSync(join(on.engine.folder, 'deep'), 'a file');
    const refused = await attempt('restore', '--stack', 'shop');
    expect(refused.exit).not.toBe(0);
    const names = await on.engine.docker(['volume', 'ls', '-q']);
    expect(names).not.toContain('shop_');
    expect(leftovers()).toEqual([]);
    rmSync(join(on.engine.folder, 'deep'));
  });
});

describe('a stack with unreadable volumes', () => {
  const project = ['--label', 'com.docker.compose.project=crew'];
  const create = (name: string, ...options: string[]): Promise<string> =>
    on.engine.docker(['volume', 'create', ...project, ...options.flatMap((one) => ['-o', one]), name]);

  test('is saved without them, reports each once, and is restored from its last whole moment', async () => {
    for (const name of ['crew_a', 'crew_b', 'crew_gone']) await create(name);
    writeFileSync(join(on.engine.volumePath('crew_a'), 'file'), 'saved');
    await run('backup', '--stack', 'crew');
    writeFileSync(join(on.engine.volumePath('crew_a'), 'file'), 'newer');
    rmSync(on.engine.volumePath('crew_gone'), { recursive: true });
    await create('crew_wrong', 'type=ext4', 'device=/dev/there-is-none');

    const saved = await attempt('backup', '--stack', 'crew', '--format', 'json');
    expect(saved).toMatchObject({ exit: 3 });
    expect(saved.stderr.match(/^holdfast: .*crew_gone/gm)).toHaveLength(1);
    expect(saved.stderr.match(/^holdfast: .*crew_wrong/gm)).toHaveLength(1);
    const { outcomes } = JSON.parse(saved.stdout) as {
      outcomes: { name: string; outcome: string; restorePoint: string | null; missing: string[] }[];
    };
    const missing = ['crew_gone', 'crew_wrong'];
    expect(outcomes.filter(({ outcome }) => outcome === 'good')).toMatchObject([
      { name: 'crew_a', missing: expect.toSatisfy((names: string[]) => sorted(names) === sorted(missing)) },
      { name: 'crew_b', restorePoint: outcomes[0]?.restorePoint },
    ]);
    expect(await run('snapshots', '--stack', 'crew')).toMatch(/MISSING/);
    expect((await attempt('coverage')).stdout).toMatch(
      /crew_gone .*could not be saved with the rest of its stack/,
    );

    mkdirSync(on.engine.volumePath('crew_gone'));
    const plan = await run('restore', '--stack', 'crew', '--dry-run');
    expect(plan).toMatch(/newer restore point without .*"crew_gone"/);
    const point = outcomes[0]?.restorePoint ?? '';
    const chosen = JSON.parse(
      await run('restore', '--stack', `crew@${point}`, '--dry-run', '--format', 'json'),
    ) as { missing: string[]; notes: string[] };
    expect(sorted(chosen.missing)).toBe(sorted(missing));
    expect(chosen.notes.join()).toContain('Could not be saved at that moment');
    rmSync(on.engine.volumePath('crew_gone'), { recursive: true });
  });

  test('has its other volumes measured, each bad one in a row of its own', async () => {
    const listed = await attempt(
      'volume',
      'ls',
      '--size',
      '--filter',
      'label=com.docker.compose.project=crew',
    );
    expect(listed).toMatchObject({ exit: 3 });
    expect(listed.stdout).toMatch(/crew_a .* 5 B/);
    expect(listed.stdout).toMatch(/crew_gone .* \?$/m);
    expect(listed.stderr).toContain('crew_wrong');
    const measured = await attempt('volume', 'du', 'crew_a', 'crew_gone', '--format', 'json');
    expect(measured).toMatchObject({ exit: 3 });
    expect(JSON.parse(measured.stdout)).toMatchObject([{ bytes: 5 }, { name: 'crew_gone', error: {} }]);
  });

  test('has volumes of the engine, whose owner Holdfast does not change: it says so, and how to do it', async () => {
    const refused = await attempt('volume', 'own', 'crew_a', '--mode', '0700');
    expect(refused).toMatchObject({ exit: 1 });
    expect(refused.stderr).toContain(
      'Cannot change the owner of volume "crew_a": Holdfast does not keep it itself',
    );
    expect(refused.stderr).toContain('docker run --rm -v crew_a:/volume');
    expect((await attempt('backup', 'crew')).stderr).toContain('It is a stack: --stack crew');
    expect((await attempt('restore', 'crew')).stderr).toContain('holdfast restore --stack crew');
  });
});

function sorted(names: readonly string[]): string {
  return names.toSorted().join();
}
