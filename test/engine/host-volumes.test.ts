import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openHostVolumes, type HostVolumes } from '../../src/volumes/index.ts';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openUsage, type Usage } from '../../src/insight/index.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import type { Host } from '../../src/hosts/host.ts';
import { parseVolumeFilter } from '../../src/model/filter.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { treeFacts } from '../support/tree-facts.ts';

const plain = { driver: '', labels: {}, options: {} };
let docker: PrivateEngine;
let folder: string;
let count = 0;

beforeAll(async () => {
  docker = await startPrivateEngine();
  await docker.importBusybox();
  folder = mkdtempSync(join(tmpdir(), 'volumes-'));
});
afterAll(async () => {
  await docker?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(['auto', 'stream'] as const)(
  'the lifecycle of volumes on a Docker Engine (data way: %s)',
  (dataWay) => {
    const way = dataWay === 'auto' ? 'direct' : 'stream';
    let host: Host;
    let engine: HostVolumes;
    let name: string;

    beforeAll(async () => {
      host = await openDockerHost({ env: { DOCKER_HOST: docker.dockerHost }, dataWay });
      engine = openHostVolumes({ host, leases: undefined });
    });
    afterAll(() => host[Symbol.asyncDispose]());
    beforeEach(() => {
      name = `${dataWay}-${count++}`;
    });

    /** The engine's archives do not carry these. */
    const without = way === 'direct' ? [] : (['xattrs', 'holes', 'mtime'] as const);
    const facts = (volume: string) => treeFacts(docker.volumePath(volume), { without });

    test('create, list, inspect, remove', async () => {
      await engine.create({ ...plain, name, labels: { team: 'a' } });
      expect((await engine.list(parseVolumeFilter(['label=team=a']))).map((volume) => volume.name)).toContain(
        name,
      );
      expect(await engine.inspect(name)).toMatchObject({ name, driver: 'local', labels: { team: 'a' } });
      await docker.docker(['create', '--name', `user-of-${name}`, '-v', `${name}:/data`, 'busybox', 'true']);
      const refused = await engine.remove([name, `${name}-typo`]);
      expect(refused.failures.map(({ error }) => error.code)).toEqual(['in-use', 'not-found']);
      expect(refused.failures[0]?.error.message).toContain(`"user-of-${name}"`);
      await docker.docker(['rm', `user-of-${name}`]);
      expect(await engine.remove([name])).toMatchObject({ removed: [name], failures: [] });
      expect(await docker.docker(['volume', 'ls', '-q'])).not.toContain(name);
    });

    test('prune plans what the engine itself would prune', async () => {
      await docker.docker([
        'volume',
        'create',
        '--label',
        'com.docker.volume.anonymous=',
        `${name}-anonymous`,
      ]);
      await docker.docker(['volume', 'create', `${name}-named`]);
      const filter = parseVolumeFilter([`name=${name}`], 'prune');
      const plan = await engine.planPrune(filter);
      expect(plan.remove.map(({ volume }) => volume.name)).toEqual([`${name}-anonymous`]);
      expect(plan.keep.map(({ volume, reason }) => [volume.name, reason])).toEqual([
        [`${name}-named`, 'named'],
      ]);
      const pruned = await engine.applyPrune(plan);
      expect(pruned.removed).toEqual([`${name}-anonymous`]);
      const left = await docker.docker(['volume', 'prune', '-f']);
      expect(left).not.toContain(name);
    });

    test('clone makes an equal volume', async () => {
      await engine.create({ ...plain, name, labels: { 'com.docker.compose.project': 'p', mine: '1' } });
      await makeHostileTree(docker.volumePath(name));
      chmodSync(docker.volumePath(name), 0o1751);
      const report = await engine.clone({ from: name, to: `${name}-clone` });
      expect(report).toMatchObject({ way, wasCreated: true, problems: [] });
      expect(report.limits.length > 0).toBe(way === 'stream');
      expect(report.volume.labels).toEqual({ mine: '1' });
      expect(facts(`${name}-clone`)).toEqual(facts(name));
    });

    test('clone names the users of the source', async () => {
      await docker.docker([
        'run',
        '-d',
        '--name',
        `db-${name}`,
        '-v',
        `${name}:/data`,
        'busybox',
        'sleep',
        '1000',
      ]);
      const report = await engine.clone({ from: name, to: `${name}-clone` });
      expect(report.notes.join()).toContain(`"db-${name}" (running)`);
      await docker.docker(['rm', '-f', `db-${name}`]);
    });

    test('export and import carry a volume to a new one, and GNU tar reads the archive', async () => {
      await engine.create({ ...plain, name });
      await makeHostileTree(docker.volumePath(name));
      const archive = join(folder, `${name}.tar.zst`);
      const exported = await engine.export({ volume: name, to: { kind: 'path', path: archive } });
      expect(exported).toMatchObject({ way, format: 'tar.zst', problems: [] });
      const imported = await engine.import({
        volume: `${name}-again`,
        from: { kind: 'path', path: archive },
        create: plain,
      });
      expect(imported.problems).toEqual([]);
      expect(facts(`${name}-again`)).toEqual(facts(name));
      const unpacked = join(folder, name);
      mkdirSync(unpacked);
      execFileSync('zstd', ['-dq', archive]);
      const flags = [
        '--warning=no-timestamp',
        '--warning=no-unknown-keyword',
        '--xattrs',
        '--xattrs-include=*',
        '--acls',
      ];
      execFileSync('tar', [...flags, '--numeric-owner', '-xpf', join(folder, `${name}.tar`), '-C', unpacked]);
      expect(treeFacts(unpacked, { without })).toEqual(facts(name));
    });

    test('import refuses a volume that is not empty or does not exist, and makes none by a typo', async () => {
      await engine.create({ ...plain, name });
      const archive = join(folder, `${name}.tar`);
      await engine.export({ volume: name, to: { kind: 'path', path: archive } });
      writeFileSync(join(docker.volumePath(name), 'precious'), 'x');
      const from = { kind: 'path', path: archive } as const;
      await expect(engine.import({ volume: name, from })).rejects.toMatchObject({ code: 'conflict' });
      await expect(engine.import({ volume: `${name}-typo`, from })).rejects.toMatchObject({
        code: 'not-found',
      });
      expect(await docker.docker(['volume', 'ls', '-q'])).not.toContain(`${name}-typo`);
      writeFileSync(archive, readFileSync(archive).subarray(0, 700));
      await expect(engine.import({ volume: `${name}-new`, from, create: plain })).rejects.toMatchObject({
        code: 'integrity',
      });
      expect(await docker.docker(['volume', 'ls', '-q'])).not.toContain(`${name}-new`);
    });

    test('cp puts entries where "docker cp" puts them', async () => {
      const source = join(folder, `${name}-source`);
      mkdirSync(join(source, 'sub'), { recursive: true });
      writeFileSync(join(source, 'sub/file'), 'content');
      const cases = [
        { from: `${source}/sub/file`, to: 'new' },
        { from: `${source}/sub/file`, to: '' },
        { from: `${source}/sub`, to: 'dir' },
        { from: `${source}/sub/.`, to: 'dir' },
        { from: `${source}/sub`, to: 'fresh' },
      ];
      for (const [index, { from, to }] of cases.entries()) {
        const ours = `${name}-ours-${index}`;
        const theirs = `${name}-theirs-${index}`;
        for (const volume of [ours, theirs]) {
          await engine.create({ ...plain, name: volume });
          mkdirSync(join(docker.volumePath(volume), 'dir'));
        }
        await engine.copyIn({ from: { kind: 'path', path: from }, to: { volume: ours, path: to } });
        await docker.docker(['create', '--name', theirs, '-v', `${theirs}:/data`, 'busybox', 'true']);
        await docker.docker(['cp', from, `${theirs}:/data/${to}`]);
        await docker.docker(['rm', theirs]);
        const names = (volume: string) =>
          readdirSync(docker.volumePath(volume), { recursive: true })
            .map(String)
            .toSorted((a, b) => (a < b ? -1 : 1));
        expect(names(ours), `${from} to "${to}"`).toEqual(names(theirs));
      }
      const out = join(folder, `${name}-out`);
      await engine.copyOut({
        from: { volume: `${name}-ours-2`, path: 'dir' },
        to: { kind: 'path', path: out },
      });
      expect(readFileSync(join(out, 'sub/file'), 'utf8')).toBe('content');
    });

    test('du, browse and cat look into a volume', async () => {
      await engine.create({ ...plain, name });
      mkdirSync(join(docker.volumePath(name), 'd'));
      writeFileSync(join(docker.volumePath(name), 'd/file'), 'content');
      const [usage] = await engine.usage([name]);
      expect(usage).toMatchObject({ name, bytes: 7, files: 1, directories: 2, problems: [] });
      const browsed = await engine.browse({ volume: name, path: 'd' });
      expect(browsed.entries).toMatchObject([{ name: 'file', type: 'file', size: 7 }]);
      const chunks: Uint8Array[] = [];
      for await (const chunk of engine.readFile({ volume: name, path: 'd/file' })) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString()).toBe('content');
      await expect(engine.browse({ volume: name, path: 'none' })).rejects.toMatchObject({
        code: 'not-found',
      });
      expect(lstatSync(docker.volumePath(name)).isDirectory()).toBe(true);
    });
  },
);

describe('sizes and I/O of volumes on a Docker Engine', () => {
  let host: Host;
  let usage: Usage;
  const catalog = openSqliteCatalog(':memory:');
  beforeAll(async () => {
    host = await openDockerHost({ env: { DOCKER_HOST: docker.dockerHost }, dataWay: 'auto' });
    const open = (): never =>
      ({
        host: async () => host,
        recoverAtStart: async () => undefined,
        [Symbol.asyncDispose]: async () => undefined,
      }) as never;
    const addresses = async (): Promise<string[]> => [docker.dockerHost];
    usage = openUsage({ catalog: async () => catalog, host: async () => host, addresses, open });
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    catalog[Symbol.dispose]();
  });

  /** Of files, hard links once: `du` counts folders in its older versions only. */
  function duOf(volume: string): number {
    const empty = join(folder, `empty-${count++}`);
    mkdirSync(empty);
    const bytesOf = (of: readonly string[]): number =>
      of.length === 0
        ? 0
        : Number(
            execFileSync('du', ['-s', '--apparent-size', '-B1', ...of], { encoding: 'utf8' }).split('\t')[0],
          );
    const root = docker.volumePath(volume);
    const sizes = execFileSync('find', [root, '-type', 'd', '-printf', '%s\n'], { encoding: 'utf8' });
    const inFolders = sizes
      .trim()
      .split('\n')
      .reduce((sum, bytes) => sum + Number(bytes), 0);
    return bytesOf([root]) - (bytesOf([empty]) === 0 ? 0 : inFolders);
  }

  const rowOf = async (name: string) =>
    (await usage.df({ names: [], refresh: false })).volumes.find((volume) => volume.name === name);

  test('sizes that are watched agree with du, follow changes, and go with the volume', async () => {
    for (const name of ['watched', 'leaving']) await docker.docker(['volume', 'create', name]);
    await docker.docker([
      'volume',
      'create',
      '-o',
      'type=nfs',
      '-o',
      'o=addr=192.0.2.1',
      '-o',
      'device=:/x',
      'far',
    ]);
    const root = docker.volumePath('watched');
    await makeHostileTree(root);
    const said: string[] = [];
    await using watch = usage.openWatch((message) => void said.push(message));
    const seen = async (name: string): Promise<number | undefined> => {
      watch.onLook({ isHostSeen: true });
      return (await rowOf(name))?.bytes;
    };
    await expect.poll(() => seen('watched')).toBe(duOf('watched'));
    expect(await rowOf('watched')).toMatchObject({ way: 'watched', isCurrent: true, problem: undefined });
    expect(await rowOf('far')).toMatchObject({ bytes: undefined, problem: 'it lies on a server' });
    writeFileSync(join(root, 'new'), Buffer.alloc(123_456));
    await expect.poll(() => seen('watched')).toBe(duOf('watched'));
    await docker.docker(['volume', 'rm', 'leaving', 'far']);
    await expect.poll(() => seen('leaving')).toBeUndefined();
    await expect
      .poll(async () => (await usage.df({ names: [], refresh: false })).volumes.map(({ name }) => name))
      .not.toContain('leaving');
    const refreshed = await usage.df({ names: ['watched'], refresh: true });
    expect(refreshed.total).toMatchObject({ volumes: 1, bytes: duOf('watched') });
    expect(refreshed.failures).toEqual([]);
    expect(said).toEqual([]);
    await expect(usage.df({ names: ['none'], refresh: true })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('what a container writes is told as docker stats and /proc tell it', async () => {
    const bytes = 8 << 20;
    const script = `while [ ! -e /data/go ]; do sleep 0.1; done; dd if=/dev/zero of=/data/file bs=1M count=8 conv=fsync; touch /data/done; sleep 1000`;
    await docker.docker([
      'run',
      '-d',
      '--name',
      'writer',
      '-v',
      'written:/data',
      'busybox',
      'sh',
      '-c',
      script,
    ]);
    const end = new AbortController();
    const reports = usage.top({ intervalMs: 15_000, times: 1, signal: end.signal });
    const first = reports.next();
    const root = docker.volumePath('written');
    // The first look has to be over: it takes milliseconds, and the interval is long.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    writeFileSync(join(root, 'go'), '');
    await expect.poll(() => readdirSync(root)).toContain('done');
    const { value: report } = await first;
    const writer = report?.containers.find(({ name }) => name === 'writer');
    const volume = report?.volumes.find(({ name }) => name === 'written');
    const written = (writer?.rates?.writtenBytes ?? 0) * (report?.seconds ?? 0);
    expect(Math.round(written)).toBeGreaterThanOrEqual(bytes);
    expect(written).toBeLessThan(bytes * 1.5);
    expect(volume).toMatchObject({ rates: writer?.rates });
    const pid = await docker.docker(['inspect', '-f', '{{.State.Pid}}', 'writer']);
    const told = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1];
    const stats = await docker.docker(['stats', '--no-stream', '--format', '{{.BlockIO}}', 'writer']);
    // Control groups of version 1 leave out what is written through the cache, and docker stats with them.
    const inStats =
      Number.parseFloat(stats.split('/')[1] ?? '') *
      (stats.endsWith('MB') ? 1e6 : stats.endsWith('kB') ? 1e3 : 1);
    const most = Math.max(Number(told), inStats);
    expect(Math.abs(written - most) / most).toBeLessThan(0.1);
    await docker.docker(['rm', '-f', 'writer']);
  });
});
