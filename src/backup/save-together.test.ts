import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { memoryContainers } from '../../test/fixtures/containers.ts';
import { AppError } from '../model/errors.ts';
import { someVolume } from '../../test/fixtures/some-volume.ts';
import { openStreamedWorld } from '../../test/fixtures/streamed-world.ts';
import { backup, type BackupAccess } from './backup.ts';

test('a dry run of a backup reads none of the files that containers need', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'still-'));
  try {
    await using world = await openStreamedWorld();
    const [file, root] = [join(folder, 'app.conf'), join(folder, 'data')];
    mkdirSync(root);
    writeFileSync(file, 'x');
    const containers = memoryContainers();
    containers.add({
      name: 'app',
      state: 'exited',
      mounts: [
        { type: 'volume', source: 'far', destination: '/data', readOnly: false },
        { type: 'bind', source: file, destination: '/app.conf', readOnly: true },
      ],
    });
    const access: BackupAccess = {
      ...world.access,
      host: async () => ({
        ...world.engine.asHost(),
        containers,
        openData: async () => ({ way: 'direct', root, [Symbol.asyncDispose]: async () => undefined }),
      }),
    };
    const { repository } = world.opened;
    const beginSave = repository.beginSave.bind(repository);
    const read: unknown[] = [];
    repository.beginSave = async (trees, options) => {
      read.push(...trees.map(({ config }) => config?.record.saved));
      return await beginSave(trees, options);
    };
    for (const dryRun of [true, false]) {
      const request = { targets: ['far'], all: false, stacks: [], tags: [], excludes: [], dryRun };
      await backup(access, request, { settleRestore: async () => {} });
    }
    expect(read).toEqual([undefined, [file]]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('hooks get the outcome "partial" when a volume of the stack cannot be opened', async () => {
  await using world = await openStreamedWorld();
  const containers = memoryContainers();
  containers.add({
    name: 'app',
    stack: 'site',
    mounts: [{ type: 'volume', source: 'far', destination: '/data', readOnly: false }],
    labels: { 'holdfast.hook.after': 'report' },
  });
  const told: unknown[] = [];
  containers.onExec((_name, { environment }) => {
    told.push(environment?.['HOLDFAST_OUTCOME']);
    return {};
  });
  const host = world.engine.asHost();
  const access: BackupAccess = {
    ...world.access,
    host: async () => ({
      ...host,
      containers,
      listVolumes: async () => ['far', 'away'].map((name) => someVolume(name, { stack: 'site' })),
      openData: async (name, options) => {
        if (name === 'away') throw new AppError('unavailable', 'It is away');
        return await host.openData(name, options);
      },
    }),
  };
  const request = { targets: [], all: false, stacks: ['site'], tags: [], excludes: [], dryRun: false };
  const { outcomes } = await backup(access, request, { settleRestore: async () => {} });
  expect(outcomes.map(({ name, outcome }) => [name, outcome])).toEqual([
    ['far', 'good'],
    ['away', 'failed'],
  ]);
  expect(told).toEqual(['partial']);
});

test.each([
  ['its reading', 'pause', 'Cannot read'],
  ['a hook meanwhile', 'exec', 'It does not answer'],
] as const)('an app that could not be brought back is told before what failed, %s', async (_, when, why) => {
  const folder = mkdtempSync(join(tmpdir(), 'still-'));
  using temporary = new DisposableStack();
  temporary.defer(() => rmSync(folder, { recursive: true, force: true }));
  await using world = await openStreamedWorld();
  const root = join(folder, 'data');
  mkdirSync(root);
  const containers = memoryContainers();
  containers.add({
    name: 'app',
    stack: 'site',
    mounts: [{ type: 'volume', source: 'far', destination: '/data', readOnly: false }],
    labels: when === 'exec' ? { 'holdfast.hook.during': 'look', 'holdfast.hook.during.in': 'side' } : {},
  });
  containers.add({ name: 'side', stack: 'site' });
  // What is refused is not tried again for seconds.
  const now = performance.now.bind(performance);
  let aheadMs = 0;
  using _clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + aheadMs);
  containers.onCall((call) => {
    if (call === 'pause' && when === 'pause') rmSync(folder, { recursive: true });
    if (call === 'unpause') aheadMs += 60_000;
  });
  containers.fail('exec', 'side', { error: new AppError('failed', 'It does not answer') });
  containers.fail('unpause', 'app');
  const access: BackupAccess = {
    ...world.access,
    host: async () => ({
      ...world.engine.asHost(),
      containers,
      openData: async () => ({ way: 'direct', root, [Symbol.asyncDispose]: async () => undefined }),
    }),
  };
  const request = { targets: ['far'], all: false, stacks: [], tags: [], excludes: [], dryRun: false };
  const { outcomes } = await backup(access, request, { settleRestore: async () => {} });
  expect(outcomes[0]).toMatchObject({
    outcome: 'failed',
    error: {
      message: 'Cannot bring "app" back as it was before',
      detail: expect.stringContaining(why),
      hint: expect.stringContaining('holdfast recover'),
    },
  });
});

test('data is closed before its snapshot is read back', async () => {
  await using world = await openStreamedWorld();
  const host = world.engine.asHost();
  const { repository } = world.opened;
  const events: string[] = [];
  const access: BackupAccess = {
    ...world.access,
    host: async () => ({
      ...host,
      openData: async (name, options) => {
        const data = await host.openData(name, options);
        return { ...data, [Symbol.asyncDispose]: async () => void events.push('closed') };
      },
    }),
  };
  const walk = repository.walk.bind(repository);
  repository.walk = (...args) => {
    events.push('read back');
    return walk(...args);
  };
  const request = { targets: ['far'], all: false, stacks: [], tags: [], excludes: [], dryRun: false };
  const { outcomes } = await backup(access, request, { settleRestore: async () => {} });
  expect(outcomes[0]?.outcome).toBe('good');
  expect(events).toEqual(['closed', 'read back']);
});
