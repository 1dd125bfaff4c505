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
