import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { memoryContainers } from '../../test/fixtures/containers.ts';
import { ConfigReader } from '../backup/config-files/read-files.ts';
import type { ConfigRecord, Snapshot, VolumeDescription } from '../model/snapshot.ts';
import { testVolume } from '../../test/fixtures/open-repository.ts';
import { openStreamedWorld, type StreamedWorld } from '../../test/fixtures/streamed-world.ts';
import { type ConfigPlan, planConfigRestore } from './plan-config-restore.ts';
import { dump } from '../snapshots/dump.ts';
import { applyRestores, type ApplyScope } from './restore.ts';
import { applyStackRestore, planStackRestore } from './restore-stack.ts';

let world: StreamedWorld;
let folder: string;
beforeEach(async () => {
  world = await openStreamedWorld();
  folder = mkdtempSync(join(tmpdir(), 'needed-'));
  return async () => {
    rmSync(folder, { recursive: true, force: true });
    await world[Symbol.asyncDispose]();
  };
});

/** Saves what a volume's containers need, as a backup does. */
async function save(...paths: readonly string[]): Promise<Snapshot> {
  return await saveOf(testVolume, paths);
}

async function saveOf(
  volume: VolumeDescription,
  paths: readonly string[],
  more: Partial<ConfigRecord> = {},
): Promise<Snapshot> {
  const reader = new ConfigReader();
  for (const path of paths) await reader.add({ path, as: 'either', isOptional: false });
  expect(reader.leftOut).toEqual([]);
  const data = mkdtempSync(join(folder, 'data-'));
  writeFileSync(join(data, 'file'), 'whole');
  const record = { saved: reader.saved, leftOut: reader.leftOut, ...more };
  const { snapshot } = await world.opened.save(data, {
    volume,
    config: { files: reader.files, record },
  });
  if (snapshot === undefined) throw new Error('Nothing was saved');
  return snapshot;
}

async function plan(snapshot: Snapshot): Promise<ConfigPlan> {
  const request = { safetySnapshot: true, asRecorded: true };
  return await planConfigRestore(world, { snapshots: [snapshot], request, notWritten: undefined }, {});
}

test('a file whose folder is reached through a link comes back', async () => {
  mkdirSync(join(folder, 'ssd/shop'), { recursive: true });
  symlinkSync('ssd/shop', join(folder, 'shop'));
  const file = join(folder, 'shop/compose.yaml');
  writeFileSync(file, 'old');
  const snapshot = await save(file);
  writeFileSync(file, 'newer');
  const { plans, notes } = await plan(snapshot);
  expect(notes).toEqual([]);
  await applyRestores(world, plans, {});
  expect(readFileSync(file, 'utf8')).toBe('old');
});

test('a file that a container can write to comes back only when it is missing, and can be restored on its own', async () => {
  const [there, gone, made] = [join(folder, 'app.db'), join(folder, 'acme.json'), join(folder, 'log')];
  const writable = [there, gone, made];
  for (const file of writable) writeFileSync(file, 'old');
  const snapshot = await saveOf(testVolume, writable, { writable });
  writeFileSync(there, 'newer');
  for (const file of [gone, made]) rmSync(file);
  // An engine makes a directory where the file to mount is missing.
  mkdirSync(made);
  const { plans, notes } = await plan(snapshot);
  expect(plans.map(({ destination }) => destination.name)).toEqual([gone, made]);
  const command = `holdfast dump ${snapshot.id.slice(0, 8)} --container-file "${there}"`;
  expect(notes).toEqual([expect.stringContaining(command)]);
  await applyRestores(world, plans, {});
  const texts = writable.map((file) => readFileSync(file, 'utf8'));
  expect(texts).toEqual(['newer', 'old', 'old']);
  const request = { snapshot: snapshot.id.slice(0, 8), path: '', containerFile: there };
  const saved: Uint8Array[] = [];
  for await (const piece of dump(world, request, {})) saved.push(piece);
  expect(Buffer.concat(saved).toString()).toBe('old');
});

test('a file that a container can write to and that is unchanged is not mentioned', async () => {
  const file = join(folder, 'app.db');
  writeFileSync(file, 'old');
  expect(await plan(await saveOf(testVolume, [file], { writable: [file] }))).toEqual({
    plans: [],
    notes: [],
  });
});

test('a file with a mount over it is left as it is, and blocks nothing else', async () => {
  const [fixed, other] = [join(folder, 'fixed'), join(folder, 'other')];
  for (const file of [fixed, other]) writeFileSync(file, 'old');
  const snapshot = await save(fixed, other);
  for (const file of [fixed, other]) writeFileSync(file, 'newer');
  execFileSync('mount', ['--bind', other, fixed]);
  try {
    const { plans, notes } = await plan(snapshot);
    expect(notes).toEqual([expect.stringContaining(`"${fixed}" is left as it is`)]);
    await applyRestores(world, plans, {});
    expect(readFileSync(other, 'utf8')).toBe('old');
  } finally {
    execFileSync('umount', [fixed]);
  }
});

test('a stack with a volume behind the engine comes back without its files, and says so', async () => {
  const file = join(folder, 'compose.yaml');
  writeFileSync(file, 'old');
  const [saved] = await world.opened.repository.listSnapshots();
  const far = saved?.volume ?? testVolume;
  await saveOf({ ...far, stack: 'shop', stackVolumes: ['far'] }, [file]);
  writeFileSync(file, 'newer');
  const request = { what: 'shop', safetySnapshot: true, asRecorded: true };
  const found = await planStackRestore(world, request, {});
  expect(found.config.notes).toEqual([expect.stringContaining('through the engine only')]);
  await applyStackRestore(world, found, {});
  expect(await world.engine.textOf('far')).toBe('whole');
});

test('a stack comes back without its files on request', async () => {
  const file = join(folder, 'compose.yaml');
  writeFileSync(file, 'old');
  const [saved] = await world.opened.repository.listSnapshots();
  const far = saved?.volume ?? testVolume;
  await saveOf({ ...far, stack: 'shop', stackVolumes: ['far'] }, [file]);
  writeFileSync(file, 'newer');
  const request = { what: 'shop', safetySnapshot: true, asRecorded: true, withFiles: false };
  expect((await planStackRestore(world, request, {})).config).toEqual({ plans: [], notes: [] });
});

test('a stack comes back without its files where a container that shares one of them cannot be stopped', async () => {
  const file = join(folder, 'site.pem');
  writeFileSync(file, 'old');
  const [saved] = await world.opened.repository.listSnapshots();
  const far = saved?.volume ?? testVolume;
  await saveOf({ ...far, stack: 'shop', stackVolumes: ['far'] }, [file]);
  writeFileSync(file, 'newer');
  const containers = memoryContainers();
  const mounts = [{ type: 'bind' as const, source: file, destination: '/x', readOnly: true }];
  containers.add({ name: 'proxy', removesItself: true, mounts });
  const root = join(folder, 'live');
  mkdirSync(root);
  const scope: ApplyScope = {
    ...world,
    host: async () => ({
      ...world.engine.asHost(),
      containers,
      openData: async () => ({ way: 'direct', root, [Symbol.asyncDispose]: async () => undefined }),
    }),
  };
  const request = { what: 'shop', safetySnapshot: true, asRecorded: true };
  const found = await planStackRestore(scope, request, {});
  expect(found.refusal).toBeUndefined();
  expect(found.config.notes).toEqual([expect.stringContaining('"proxy"')]);
  await applyStackRestore(scope, found, {});
  expect(readFileSync(file, 'utf8')).toBe('newer');
  expect(readFileSync(join(root, 'file'), 'utf8')).toBe('whole');
});
