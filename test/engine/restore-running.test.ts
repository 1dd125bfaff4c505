import {
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { CliResult } from '../cli/cli.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { onEngine } from '../support/on-engine.ts';
import { treeFacts } from '../support/tree-facts.ts';

const on = onEngine();

const started: string[] = [];
afterEach(async () => {
  if (started.length > 0) await on.engine.docker(['rm', '-f', ...started.splice(0)]);
});

const attempt = (...args: string[]): Promise<CliResult> => on.attempt(args);

const run = async (...args: string[]): Promise<string> => (await on.run(args)).stdout;

interface Request {
  readonly volume: string;
  readonly args?: readonly string[];
  /** Run by the container's shell. */
  readonly script?: string;
}

/** Starts a container whose script exits at once on SIGTERM. */
async function container(name: string, { volume, args = [], script }: Request): Promise<void> {
  started.push(name);
  const wait = 'trap "exit 0" TERM; while :; do sleep 0.1; done';
  const command = script === undefined ? wait : `${script}; ${wait}`;
  const mount = ['-v', `${volume}:/data`];
  await on.engine.docker(['run', '-d', '--name', name, ...mount, ...args, 'busybox', 'sh', '-c', command]);
}

const healthy = [
  '--health-cmd',
  'test ! -f /data/sick',
  '--health-interval',
  '300ms',
  '--health-retries',
  '2',
];

async function stateOf(name: string): Promise<string> {
  return await on.engine.docker(['inspect', '-f', '{{.State.Status}}', name]);
}

async function untilHealthy(name: string): Promise<void> {
  const health = (): Promise<string> => on.engine.docker(['inspect', '-f', '{{.State.Health.Status}}', name]);
  await expect.poll(health, { interval: 100 }).toBe('healthy');
}

/** A volume with a snapshot, and newer data since. */
async function makeVolume(name: string, prepare?: (root: string) => void): Promise<string> {
  await on.engine.docker(['volume', 'create', name]);
  const root = on.engine.volumePath(name);
  writeFileSync(join(root, 'f'), 'saved');
  prepare?.(root);
  await run('backup', name);
  rmSync(join(root, 'sick'), { force: true });
  writeFileSync(join(root, 'f'), 'newer');
  writeFileSync(join(root, 'extra'), 'newer');
  return root;
}

/** What a restore may leave: only what is kept for an undo. */
function leftovers(root: string): string[] {
  const names = ['journal', 'journal-apps'].flatMap(on.list);
  const undo = on.list('undo');
  const stages = readdirSync(join(root, '..')).filter((name) => name !== '_data' && name !== 'opts.json');
  return [...names, ...stages.filter((name) => !undo.includes(`${name.slice(-16)}.json`))];
}

describe('a volume that containers use', () => {
  test('is restored: they are named, stopped, started on the restored data and healthy', async () => {
    const root = await makeVolume('used');
    await container('used-web', { volume: 'used' });
    await container('used-db', { volume: 'used', args: healthy });
    await on.engine.docker(['create', '--name', 'used-idle', '-v', 'used:/data', 'busybox', 'true']);
    started.push('used-idle');
    await untilHealthy('used-db');
    const plan = await run('restore', 'used', '--dry-run');
    expect(plan).toMatch(/These are stopped for it, in this order, and started again: .*"used-db"/);
    expect(plan).toContain('2 files were written after the snapshot: that data would be lost here.');
    expect(readFileSync(join(root, 'f'), 'utf8')).toBe('newer');

    const report = JSON.parse(await run('restore', 'used', '--yes', '--format', 'json')) as {
      stopped: string[];
      stillMs: number;
    };
    expect(report.stopped.sort()).toEqual(['used-db', 'used-web']);
    expect(report.stillMs).toBeGreaterThan(0);
    expect(readdirSync(root)).toEqual(['f']);
    for (const name of ['used-web', 'used-db'])
      expect(await on.engine.docker(['exec', name, 'cat', '/data/f'])).toBe('saved');
    expect(await stateOf('used-idle')).toBe('created');
    expect(leftovers(root)).toEqual([]);
  });

  test('is not restored under a container that its user has paused: its memory would be lost', async () => {
    const root = await makeVolume('dozing');
    await container('dozing-db', { volume: 'dozing' });
    await on.engine.docker(['pause', 'dozing-db']);
    const refused = await attempt('restore', 'dozing', '--yes');
    expect(refused.exit).toBe(5);
    expect(refused.stderr).toContain('it is paused, and what it has in memory would be lost');
    expect(refused.stderr).toContain('Unpause it, or stop it by hand');
    expect(readFileSync(join(root, 'f'), 'utf8')).toBe('newer');
    expect(await stateOf('dozing-db')).toBe('paused');
  });

  test('containers that joined the network of a stopped one keep it, also when the restore goes back', async () => {
    await makeVolume('netted', (path) => writeFileSync(join(path, 'sick'), ''));
    await container('netted-db', { volume: 'netted', args: healthy });
    await container('netted-web', { volume: 'other', args: ['--network', 'container:netted-db'] });
    await untilHealthy('netted-db');
    const network = (name: string): Promise<string> =>
      on.engine.docker(['exec', name, 'readlink', '/proc/1/ns/net']);
    const refused = await attempt('restore', 'netted', '--yes', '--health-timeout', '3s');
    expect(refused.stderr).toContain('"netted-db" did not come up on the restored data');
    expect(await network('netted-web')).toBe(await network('netted-db'));
    await run('backup', 'netted');
    const report = JSON.parse(await run('restore', 'netted', '--yes', '--format', 'json')) as {
      stopped: string[];
    };
    expect(report.stopped).toEqual(['netted-web', 'netted-db']);
    expect(await network('netted-web')).toBe(await network('netted-db'));
    await untilHealthy('netted-db');
    await run('undo', 'netted', '--yes');
    expect(await network('netted-web')).toBe(await network('netted-db'));
  });

  test('is byte for byte what it was when health fails on the restored data', async () => {
    const root = await makeVolume('sick', (path) => writeFileSync(join(path, 'sick'), ''));
    await container('sick-db', { volume: 'sick', args: healthy });
    await untilHealthy('sick-db');
    const before = treeFacts(root);
    const refused = await attempt('restore', 'sick', '--yes', '--health-timeout', '3s');
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain('"sick-db" did not come up on the restored data');
    expect(treeFacts(root)).toEqual(before);
    expect(await on.engine.docker(['exec', 'sick-db', 'cat', '/data/f'])).toBe('newer');
    await untilHealthy('sick-db');
    expect(leftovers(root)).toEqual([]);
    expect(await run('undo', '--list', '-q')).not.toContain('sick');
  });

  test('is what it was when a container exits soon after its start on the restored data', async () => {
    const root = await makeVolume('falls', (path) => writeFileSync(join(path, 'sick'), ''));
    await container('falls-db', { volume: 'falls', script: 'test ! -f /data/sick || { sleep 1; exit 3; }' });
    await container('falls-web', { volume: 'falls' });
    const before = treeFacts(root);
    const refused = await attempt('restore', 'falls', '--yes');
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain('"falls-db" did not come up');
    expect(treeFacts(root)).toEqual(before);
    expect([await stateOf('falls-db'), await stateOf('falls-web')]).toEqual(['running', 'running']);
    expect(leftovers(root)).toEqual([]);
  });

  test('is what it was when a container cannot be started on the restored data', async () => {
    // Docker does not start a container whose working directory is a file.
    const root = await makeVolume('startless', (path) => writeFileSync(join(path, 'work'), 'no folder'));
    rmSync(join(root, 'work'));
    mkdirSync(join(root, 'work'));
    await container('startless-db', { volume: 'startless', args: ['-w', '/data/work'] });
    const before = treeFacts(root);
    const refused = await attempt('restore', 'startless', '--yes');
    expect(refused.exit, refused.stderr).toBe(1);
    expect(refused.stderr).toContain('startless-db');
    expect(treeFacts(root)).toEqual(before);
    expect(await stateOf('startless-db')).toBe('running');
    expect(leftovers(root)).toEqual([]);
  });

  test('says why a container cannot be started again, and the next command says so without waiting for it', async () => {
    const root = await makeVolume('stuck');
    const mounted = join(on.engine.folder, 'stuck-mount');
    mkdirSync(mounted);
    await container('stuck-db', { volume: 'stuck', args: ['-v', `${mounted}:/beside`] });
    const before = treeFacts(root);
    const folder = join(on.engine.folder, 'stuck-mount-away');
    // It starts neither on the restored data nor on the old: its other mount is a file in place of a folder.
    renameSync(mounted, folder);
    writeFileSync(mounted, '');
    const refused = await attempt('restore', 'stuck', '--yes');
    expect(refused.exit, refused.stderr).toBe(1);
    expect(refused.stderr).toMatch(/The engine says: .*not a directory/i);
    expect(treeFacts(root)).toEqual(before);
    expect(await stateOf('stuck-db')).toBe('exited');

    const later = await attempt('volume', 'ls');
    expect(later.exit).toBe(0);
    const lines = later.stderr.split('\n').filter((line) => line.includes('stuck'));
    expect(lines).toEqual([
      expect.stringMatching(/What ran is not started: .*The engine says: .*holdfast recover/),
    ]);
    const notes = on.list('journal-apps').filter((name) => name.endsWith('.refused'));
    expect(notes).toHaveLength(1);

    rmSync(mounted);
    renameSync(folder, mounted);
    await run('recover');
    expect(await stateOf('stuck-db')).toBe('running');
    await run('volume', 'ls');
    expect(leftovers(root)).toEqual([]);
  });

  test('is refused when stopping would remove a container', async () => {
    await makeVolume('passing');
    await container('passing-job', { volume: 'passing', args: ['--rm'] });
    const refused = await attempt('restore', 'passing', '--yes');
    expect(refused.exit).toBe(5);
    expect(refused.stderr).toContain('"passing-job"');
    expect(await stateOf('passing-job')).toBe('running');
    await on.engine.docker(['stop', 'passing-job']);
    started.splice(0);
  });

  test('gets one file back under a running container, which is restarted for it', async () => {
    const root = await makeVolume('part');
    await container('part-db', { volume: 'part' });
    await run('restore', 'part', '--path', 'f', '--yes');
    expect(await on.engine.docker(['exec', 'part-db', 'cat', '/data/f'])).toBe('saved');
    expect(readFileSync(join(root, 'extra'), 'utf8')).toBe('newer');
    expect(leftovers(root)).toEqual([]);
  });

  test('keeps its data when the snapshot is damaged, without stopping a container', async () => {
    const root = await makeVolume('damaged', (path) =>
      writeFileSync(join(path, 'big'), Buffer.alloc(3e6, 'x')),
    );
    await container('damaged-db', { volume: 'damaged' });
    const startedAt = await on.engine.docker(['inspect', '-f', '{{.State.StartedAt}}', 'damaged-db']);
    const before = treeFacts(root);
    const undo = damageRepository();
    const refused = await attempt('restore', 'damaged', '--yes', '--no-safety-snapshot');
    undo();
    expect(refused.exit).not.toBe(0);
    expect(treeFacts(root)).toEqual(before);
    expect(await on.engine.docker(['inspect', '-f', '{{.State.StartedAt}}', 'damaged-db'])).toBe(startedAt);
    expect(leftovers(root)).toEqual([]);
  });
});

test('a restore that does not fit on the disk stops no container and leaves everything as it was', async () => {
  await using disk = mountLoopFilesystem('ext4');
  const device = join(disk.path, 'data');
  mkdirSync(device);
  const options = ['-o', 'type=none', '-o', 'o=bind', '-o', `device=${device}`];
  await on.engine.docker(['volume', 'create', ...options, 'small']);
  // Random, so that the file system cannot compress it.
  for (let i = 0; i < 20; i++) writeFileSync(join(device, `f${i}`), randomBytes(8e6));
  await run('backup', 'small');
  for (let i = 0; i < 20; i++) writeFileSync(join(device, `f${i}`), randomBytes(8e6));
  await container('small-db', { volume: 'small' });
  const startedAt = await on.engine.docker(['inspect', '-f', '{{.State.StartedAt}}', 'small-db']);
  const before = treeFacts(device);
  const plan = await run('restore', 'small', '--dry-run');
  expect(plan).toContain('The restored data may not fit');
  const refused = await attempt('restore', 'small', '--yes', '--no-safety-snapshot');
  expect(refused.exit).toBe(1);
  expect(refused.stderr).toContain('the disk is full');
  expect(treeFacts(device)).toEqual(before);
  expect(readdirSync(disk.path).sort()).toEqual(['data', 'lost+found']);
  expect(await on.engine.docker(['inspect', '-f', '{{.State.StartedAt}}', 'small-db'])).toBe(startedAt);
  await on.engine.docker(['rm', '-f', ...started.splice(0)]);
  await on.engine.docker(['volume', 'rm', 'small']);
});

test('a directory that a running container mounts is restored under it', async () => {
  const data = join(on.engine.folder, 'site');
  mkdirSync(data);
  writeFileSync(join(data, 'f'), 'one');
  await container('site', { volume: data });
  await run('backup', data);
  writeFileSync(join(data, 'f'), 'two');
  await run('restore', data, '--yes');
  expect(await on.engine.docker(['exec', 'site', 'cat', '/data/f'])).toBe('one');
});

test.each(['direct', 'stream'])('a volume comes back with other owners (%s)', async (way) => {
  const root = await makeVolume(`owned-${way}`);
  chownSync(join(root, 'f'), 999, 50);
  chownSync(root, 999, 999);
  await run('backup', `owned-${way}`);
  const env = { HOLDFAST_DATA_WAY: way === 'direct' ? 'auto' : way };
  const args = ['restore', `owned-${way}`, '--to', `mapped-${way}`, '--map-owner', '0:100000:65536'];
  const result = await on.attempt(args, { env });
  expect(result, result.stderr).toMatchObject({ exit: 0 });
  const mapped = on.engine.volumePath(`mapped-${way}`);
  expect([statSync(mapped).uid, statSync(join(mapped, 'f')).uid, statSync(join(mapped, 'f')).gid]).toEqual([
    100999, 100999, 100050,
  ]);
  expect(statSync(join(mapped, 'extra')).uid).toBe(100000);
});

/** Flips one byte in the middle of every pack; returns a function that flips it back. */
function damageRepository(): () => void {
  const packs = readdirSync(join(on.cli.repository, 'data'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(on.cli.repository, 'data', name))
    .filter((path) => /[0-9a-f]{64}$/.test(path));
  const turn = (): void => {
    for (const path of packs) {
      const bytes = readFileSync(path);
      const middle = Math.floor(bytes.length / 3);
      bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
      rmSync(path);
      writeFileSync(path, bytes);
    }
  };
  turn();
  return turn;
}

test('a container that mounts a single file reads the restored one', async () => {
  const file = join(on.cli.mkdir('conf'), 'app.conf');
  writeFileSync(file, 'saved');
  await run('backup', file);
  await container('reads-file', { volume: `${file}`, script: ':' });
  writeFileSync(file, 'spoilt');
  const read = (): Promise<string> => on.engine.docker(['exec', 'reads-file', 'cat', '/data']);
  expect(await read()).toBe('spoilt');
  const { stopped } = JSON.parse(await run('restore', file, '--yes', '--format', 'json')) as {
    stopped: string[];
  };
  expect(stopped).toEqual(['reads-file']);
  expect(await read()).toBe('saved');
});

test('a file that a container writes on exit is not lost when a missing one is restored', async () => {
  const folder = on.cli.mkdir('written-late');
  const file = join(folder, 'state');
  writeFileSync(file, 'saved');
  await run('backup', file);
  rmSync(file);
  await container('writes-late', {
    volume: folder,
    script: 'trap "echo late > /data/state; exit 0" TERM; while :; do sleep 0.1; done',
  });
  await expect(run('restore', file, '--yes')).rejects.toThrow(/holds data that was not there/);
  expect(readFileSync(file, 'utf8')).toBe('late\n');
  expect(await stateOf('writes-late')).toBe('running');
});
