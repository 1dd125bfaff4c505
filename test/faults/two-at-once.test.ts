import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { FaultWorld } from './fault-world.ts';
import { changeData, makeData } from './living-data.ts';
import { dice, seed, times } from './seeded.ts';

const random = dice('two at once');
const shape = { folders: 8, filesInEach: 40, largeBytes: 30_000_000 };

let world: FaultWorld;
beforeEach(async () => {
  world = new FaultWorld();
  await world.init();
});
afterEach(() => world[Symbol.dispose]());

test('backups of two volumes and a backup of restic at the same time all succeed', async () => {
  const roots = [await world.volume('va'), await world.volume('vb')];
  for (const root of roots) makeData(root, shape, random);
  const third = world.mkdir('third');
  makeData(third, shape, random);
  const all = await Promise.all([
    world.attempt(['backup', 'va']),
    world.attempt(['backup', 'vb']),
    world.restic('backup', third),
  ]);
  expect(all.map(({ exit, stderr }) => [exit, stderr])).toEqual([
    [0, expect.anything()],
    [0, expect.anything()],
    [0, expect.anything()],
  ]);
  expect(await world.judge('check', '--read-data')).toContain('no errors were found');
  await world.run('check', '--read-data');
  for (const name of ['va', 'vb']) {
    await world.run('restore', name, '--to', `./${name}`);
    expect(treeFacts(join(world.folder, name))).toEqual(treeFacts(world.root(name)));
  }
});

test('of two concurrent backups of one volume, one does not wait and reports that it is locked', async () => {
  const root = await world.volume('data');
  makeData(root, { ...shape, largeBytes: 90_000_000 }, random);
  const both = await Promise.all([world.attempt(['backup', 'data']), world.attempt(['backup', 'data'])]);
  expect(both.map(({ exit }) => exit).toSorted((a, b) => a - b)).toEqual([0, 5]);
  const refused = both.find(({ exit }) => exit === 5);
  expect(refused?.stderr).toMatch(/^holdfast: Cannot back up "data": process \d+ is at work on it$/m);
  expect(await world.ids('data')).toHaveLength(1);
});

test('a restore and a backup of one volume at the same time do not mix', async () => {
  const root = await world.volume('data');
  makeData(root, { ...shape, largeBytes: 60_000_000 }, random);
  const older = treeFacts(root);
  await world.run('backup', 'data');
  changeData(root, 10_000_000, random);
  const newer = treeFacts(root);
  const [backup, restore] = await Promise.all([
    world.attempt(['backup', 'data']),
    world.attempt(['restore', 'data', '--yes', '--no-safety-snapshot']),
  ]);
  expect([0, 5]).toContain(backup.exit);
  expect([0, 5]).toContain(restore.exit);
  expect(Math.min(backup.exit, restore.exit), backup.stderr + restore.stderr).toBe(0);
  expect(treeFacts(root)).toEqual(restore.exit === 0 ? older : newer);
  if (backup.exit === 0) {
    const id = (await world.ids('data')).at(-1) ?? '';
    await world.run('restore', id, '--to', './copy');
    const saved = treeFacts(join(world.folder, 'copy')).join('\n');
    expect([older.join('\n'), newer.join('\n')]).toContain(saved);
  }
});

const rounds = times({ all: 10, daily: 2 });

test(`a backup during "restic prune" is done or refused, ${rounds} times, and never harmed`, async () => {
  const root = await world.volume('data');
  makeData(root, shape, random);
  await world.run('backup', 'data');
  const exits: Record<string, number> = {};
  for (let round = 0; round < rounds; round++) {
    changeData(root, 8_000_000, random);
    await world.run('backup', 'data');
    changeData(root, 8_000_000, random);
    const [pruned, saved] = await Promise.all([
      world.restic('forget', '--keep-last', '1', '--prune', '--max-unused', '0'),
      sleep(random.between(0, 700)).then(() => world.attempt(['backup', 'data'])),
    ]);
    expect([0, 5], `seed ${seed}: ${saved.stderr}`).toContain(saved.exit);
    if (saved.exit === 5)
      expect(saved.stderr).toMatch(/is locked: process \d+ on ".*" holds an exclusive lock/);
    // restic's exit number for a locked repository.
    expect([0, 11], `seed ${seed}: ${pruned.stderr}`).toContain(pruned.exit);
    expect(await world.judge('check', '--read-data'), `seed ${seed}`).toContain('no errors were found');
    exits[saved.exit] = (exits[saved.exit] ?? 0) + 1;
  }
  console.log(`seed ${seed}: backups during a prune ended with ${JSON.stringify(exits)}`);
});

test('an exclusive lock is respected while its process lives, and removed when it has died', async () => {
  const root = await world.volume('data');
  writeFileSync(join(root, 'file'), 'content');
  await world.run('backup', 'data');
  const locks = join(world.repository, 'locks');
  // restic holds an exclusive lock while it waits for its rate limit.
  const holder = world.startRestic('check', '--read-data', '--limit-download', '1');
  try {
    await expect.poll(() => readdirSync(locks).length, { interval: 10 }).toBe(1);
    const refused = await world.attempt(['backup', 'data']);
    expect(refused.exit, refused.stderr).toBe(5);
    expect(refused.stderr).toMatch(/holds an exclusive lock/);
  } finally {
    holder.child.kill('SIGKILL');
    await holder.ended;
  }
  // Its process has died, so no unlock is needed.
  await world.run('backup', 'data');
  expect(existsSync(locks) && readdirSync(locks)).toEqual([]);
});
