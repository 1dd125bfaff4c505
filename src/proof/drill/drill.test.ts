import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memoryContainers, type MemoryContainers } from '../../../test/fixtures/containers.ts';
import { type DirectoryHost, openDirectoryHost } from '../../../test/fixtures/directory-host.ts';
import { type DirectoryWorld, openDirectoryWorld } from '../../../test/fixtures/directory-world.ts';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import { memoryCatalog } from '../../../test/fixtures/memory-catalog.ts';
import { testVolume } from '../../../test/fixtures/open-repository.ts';
import { someSnapshot } from '../../../test/fixtures/some-snapshot.ts';
import { type Container, trialLabel, type TrialRequest } from '../../hosts/containers.ts';
import { AppError } from '../../model/errors.ts';
import { onlySeen } from './ask-server.ts';
import type { DrillReport, DrillRequest } from './drill-types.ts';
import { drill, rememberDrill, whyUnproven } from './drill.ts';

const server = { name: 'db', lacks: ['/srv/db.conf'], asked: ['PostgreSQL'], readyAfterMs: undefined };

test('a server that never answers and lacks a file says nothing about its data', () => {
  expect(whyUnproven(server, 'volume')).toBe('"db" needs "/srv/db.conf", which is not in the snapshot');
});

test('a server that answers and has lost data has failed, whatever it lacks', () => {
  expect(whyUnproven({ ...server, readyAfterMs: 900 }, 'volume')).toBeUndefined();
  expect(whyUnproven({ ...server, readyAfterMs: 900 }, 'stack')).toBeUndefined();
});

test('a server that is only seen to run may exit because it misses what is outside its stack', () => {
  const web = { ...server, name: 'web', lacks: [], asked: [onlySeen] };
  expect(whyUnproven(web, 'stack')).toContain('did not keep running');
  expect(whyUnproven(web, 'volume')).toBeUndefined();
});

test('a drill whose result cannot be remembered keeps its result, and says so', () => {
  const { usage } = memoryCatalog();
  const full = {
    ...usage,
    noteDrill() {
      throw new AppError('full', 'Cannot write the catalog');
    },
  };
  const notes: string[] = [];
  const snapshots = [someSnapshot({ id: 'a1', time: '2026-03-02T12:00:00Z' })];
  rememberDrill(
    { usage: full },
    { choice: { snapshots }, drilled: { outcome: 'failed', recoverMs: undefined, volumes: [], servers: [] } },
    { onNote: (note) => void notes.push(note) },
  );
  expect(notes).toEqual(['The result of this drill is not remembered: Cannot write the catalog.']);
});

test('of a stack whose database answered, only the volumes that it was started on are remembered as proven', () => {
  using catalog = openSqliteCatalog(':memory:');
  const { usage } = catalog;
  const names = ['rows', 'html', 'logs'];
  const time = '2026-03-02T12:00:00Z';
  const choice = { snapshots: names.map((name) => someSnapshot({ id: `id-${name}`, time, identity: name })) };
  const volumes = names.map((name) => ({
    ...{ name, snapshotId: `id-${name}`, snapshotTime: time },
    ...{ files: 1, bytes: 1, trialVolume: `trial-${name}` },
  }));
  const servers = [
    { proof: 'asked', trialVolumes: ['trial-rows'] },
    { proof: 'seen', trialVolumes: ['trial-html'] },
  ] as const;
  const remembered = (outcome: DrillReport['outcome']) => {
    rememberDrill({ usage }, { choice, drilled: { outcome, recoverMs: 5, volumes, servers } }, {});
    const drills = usage.listDrills().filter((drill) => outcome !== 'failed' || drill.outcome === 'failed');
    return names.map((name) => drills.find(({ volumeIdentity }) => volumeIdentity === name)?.outcome);
  };
  expect(remembered('proven')).toEqual(['proven', 'started', 'restored']);
  expect(remembered('failed')).toEqual(['failed', 'failed', 'failed']);
});

describe('drill()', () => {
  let world: DirectoryWorld;
  let containers: MemoryContainers;
  let host: DirectoryHost;
  /** What the engine makes of a trial. */
  let started: Partial<Container>;
  beforeEach(async () => {
    started = { health: 'healthy' };
    containers = memoryContainers();
    const startTrial = async ({ name, labels }: TrialRequest): Promise<Container> =>
      containers.add({ ...started, name, labels });
    const removeTrial = async (trial: string): Promise<void> => {
      for (const { id, labels } of await containers.list())
        if (labels[trialLabel] === trial) await containers.remove(id);
    };
    world = await openDirectoryWorld((folder) => {
      host = openDirectoryHost(folder, 'direct');
      return Object.assign(host, { containers: Object.assign(containers, { startTrial, removeTrial }) });
    });
    await host.createVolume({ name: 'wiki', driver: '', options: {}, labels: {} });
    writeFileSync(join(host.path('wiki'), 'page'), 'text');
    const volume = { ...testVolume, name: 'wiki' };
    await world.opened.save(host.path('wiki'), { volume });
  });
  afterEach(async () => {
    // Whatever came of it, only what was there before is left.
    expect((await host.listVolumes()).map(({ name }) => name)).toEqual(['wiki']);
    expect((await containers.list()).map(({ name }) => name)).toEqual(
      (await containers.find('wiki-1')) === undefined ? [] : ['wiki-1'],
    );
    expect(readFileSync(join(host.path('wiki'), 'page'), 'utf8')).toBe('text');
    await world[Symbol.asyncDispose]();
  });

  function addServer(given: Partial<Container> = {}): void {
    const mount = { type: 'volume', source: 'wiki', destination: '/data', readOnly: false } as const;
    containers.add({ name: 'wiki-1', mounts: [mount], ...given });
  }

  async function drillOf(request: Partial<DrillRequest> = {}): Promise<DrillReport> {
    const asked = { snapshot: undefined, command: undefined, keep: false, readyWithinMs: 1000 };
    return await drill(world, { ...asked, target: 'wiki', ...request }, {});
  }

  test('says "restored" where nothing can be started on the data', async () => {
    expect(await drillOf()).toMatchObject({ outcome: 'restored', problems: [], servers: [] });
  });

  test('says "proven" for a server whose health check passes', async () => {
    addServer();
    const report = await drillOf();
    expect(report).toMatchObject({ outcome: 'proven', problems: [], servers: [{ proof: 'asked' }] });
    expect(report.recoverMs).toBeGreaterThan(0);
  });

  test('says "started" for a server that only keeps running, and "failed" for one that ends', async () => {
    addServer();
    started = { health: 'none' };
    expect(await drillOf()).toMatchObject({ outcome: 'started', servers: [{ proof: 'seen' }] });
    started = { health: 'none', state: 'exited', exitCode: 3 };
    expect(await drillOf()).toMatchObject({
      outcome: 'failed',
      recoverMs: undefined,
      problems: ['"wiki-1": it has ended with exit number 3'],
      servers: [{ proof: 'none' }],
    });
  });

  test('says "failed" for a server whose health check or whose command fails', async () => {
    addServer();
    started = { health: 'unhealthy' };
    expect(await drillOf()).toMatchObject({
      outcome: 'failed',
      problems: ['"wiki-1": its health check says that it is unhealthy'],
    });
    started = { health: 'healthy' };
    containers.onExec(() => ({ exitCode: 1, stderr: 'no pages' }));
    expect(await drillOf({ command: ['count-pages'], readyWithinMs: 1 })).toMatchObject({
      outcome: 'failed',
      problems: ['"wiki-1": the command ended with 1: no pages'],
    });
    containers.onExec(() => ({ stdout: '14 pages\n' }));
    expect(await drillOf({ command: ['count-pages'] })).toMatchObject({
      outcome: 'proven',
      servers: [{ asked: ['its health check', 'count-pages'], facts: ['14 pages'] }],
    });
  });

  test('says "failed" for a server that the engine cannot start on the data', async () => {
    addServer();
    Object.assign(containers, {
      startTrial: () => Promise.reject(new AppError('failed', 'Cannot start it', { detail: 'no such file' })),
    });
    expect(await drillOf()).toMatchObject({
      outcome: 'failed',
      recoverMs: undefined,
      problems: ['"wiki-1": Cannot start it: no such file'],
    });
  });

  test('says "unproven" for a server that does not come up and lacks what is not in the snapshot', async () => {
    const other = {
      type: 'other',
      source: undefined,
      destination: '/etc/wiki.conf',
      readOnly: true,
    } as const;
    const mount = { type: 'volume', source: 'wiki', destination: '/data', readOnly: false } as const;
    addServer({ mounts: [mount, other] });
    started = { health: 'unhealthy' };
    containers.onExec(() => ({ exitCode: 1 }));
    expect(await drillOf({ command: ['count-pages'], readyWithinMs: 1 })).toMatchObject({
      outcome: 'unproven',
      recoverMs: undefined,
      unprovenBecause: ['"wiki-1" needs "/etc/wiki.conf", which is not in the snapshot'],
    });
  });

  test('says "failed" for data that does not come back whole, and throws where that is not known', async () => {
    const { location } = world.opened;
    const packs = readdirSync(join(location, 'data'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /[0-9a-f]{64}$/.test(name),
    );
    const contents = packs.map((pack) => readFileSync(join(location, 'data', pack)));
    for (const pack of packs) writeFileSync(join(location, 'data', pack), 'rubbish'.repeat(1000));
    const report = await drillOf();
    expect(report).toMatchObject({ outcome: 'failed', recoverMs: undefined, servers: [] });
    expect(report.problems).toHaveLength(1);
    packs.forEach((pack, index) => writeFileSync(join(location, 'data', pack), contents[index] ?? ''));
    const createVolume = (): never => {
      throw new AppError('full', 'The disk is full');
    };
    const before = host.createVolume.bind(host);
    Object.assign(host, { createVolume });
    await expect(drillOf()).rejects.toMatchObject({ code: 'full' });
    Object.assign(host, { createVolume: before });
    expect(await drillOf()).toMatchObject({ outcome: 'restored' });
  });
});
