import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultWorld } from '../faults/fault-world.ts';
import { changeData, makeData } from '../faults/living-data.ts';
import { dice, seed, times, withinBudget } from '../faults/seeded.ts';
import { treeFacts } from '../support/tree-facts.ts';

/** HOLDFAST_TEST_TURNS is the maximum number. */
const turns = Number(process.env['HOLDFAST_TEST_TURNS'] ?? times({ all: 250, daily: 16 }));

type Who = 'holdfast' | 'restic';

interface KnownSnapshot {
  readonly id: string;
  readonly time: string;
  readonly tags: readonly string[];
}

let world: FaultWorld;
let root: string;
const random = dice('turns');
/**
 * The content of the snapshot of each time, and its program. A change of tags changes the id, never the time.
 */
const facts = new Map<string, { readonly who: Who; readonly files: string[] }>();
let passwords = 0;

beforeAll(async () => {
  world = new FaultWorld();
  await world.init();
  root = await world.volume('data');
  makeData(root, { folders: 6, filesInEach: 30, largeBytes: 25_000_000 }, random);
});
afterAll(() => world[Symbol.dispose]());

test(
  `in up to ${turns} turns on one repository, restic and Holdfast never disagree`,
  async () => {
    const done: string[] = [];
    await backUp('holdfast');
    await backUp('restic');
    for (const [turn] of withinBudget(Array.from({ length: turns }), { seconds: 30, atLeast: 8 })) {
      const who = random.pick<Who>(['holdfast', 'restic']);
      const [name, act] = random.pick(actions);
      done.push(`${who} ${name}`);
      const where = `seed ${seed}, turn ${turn + 1} (${done.slice(-6).join(', ')})`;
      await act(who, where);
      await agree(where);
    }
    await restoreEach(`seed ${seed}, at the end`);
    expect(await world.judge('check', '--read-data')).toContain('no errors were found');
    await world.run('check', '--read-data');
    console.log(`seed ${seed}: ${facts.size} snapshots after ${done.length} turns`);
  },
  60 * 60_000,
);

type Action = readonly [name: string, act: (who: Who, where: string) => Promise<void>];

/** Frequent actions appear more than once. */
const actions: readonly Action[] = [
  ['backup', backUp],
  ['backup', backUp],
  ['backup', backUp],
  ['forget', forget],
  ['forget', forget],
  ['prune', prune],
  ['prune', prune],
  ['check', check],
  ['restore', restoreOne],
  ['restore', restoreOne],
  ['tag', tag],
  ['key', addKey],
];

async function backUp(who: Who): Promise<void> {
  changeData(root, 3_000_000, random);
  if (who === 'holdfast') await world.run('backup', 'data', '--quiet');
  else await world.judge('backup', root, '--quiet');
  const added = (await listed('restic')).filter(({ time }) => !facts.has(time));
  expect(added).toHaveLength(1);
  facts.set(added[0]?.time ?? '', { who, files: treeFacts(root, { without: ['holes'] }).slice(1) });
}

/** The other program first predicts, in a dry run, what will be removed. */
async function forget(who: Who, where: string): Promise<void> {
  const rules = random.pick([
    ['--keep-last', '2'],
    ['--keep-last', '3', '--keep-tag', 'a'],
    ['--keep-hourly', '4'],
    ['--keep-within', '1d', '--keep-last', '1'],
    ['--keep-last', '1', '--keep-daily', '2'],
  ]);
  const plans = { holdfast: await staying('holdfast', rules), restic: await staying('restic', rules) };
  expect(plans.holdfast, where).toEqual(plans.restic);
  if (who === 'holdfast') await world.run('forget', ...rules, '--yes', ...noFloor);
  else await world.judge('forget', ...rules);
  const there = await listed('holdfast');
  expect(there.map(({ id }) => id).toSorted(), where).toEqual(plans.restic);
  const times = new Set(there.map(({ time }) => time));
  for (const time of facts.keys()) if (!times.has(time)) facts.delete(time);
}

/** restic has no such rule. */
const noFloor = ['--keep-verified', '0'];

async function staying(who: Who, rules: readonly string[]): Promise<string[]> {
  if (who === 'holdfast') {
    type Plan = { groups: { snapshots: { id: string; stays: boolean }[] }[] };
    const { groups } = await world.json<Plan>('forget', ...rules, '--dry-run', ...noFloor);
    return groups
      .flatMap(({ snapshots }) => snapshots.filter(({ stays }) => stays).map(({ id }) => id))
      .toSorted();
  }
  const output = await world.judge('forget', ...rules, '--dry-run', '--json');
  const groups = JSON.parse(output.split('\n').find((line) => line.startsWith('[')) ?? '[]') as {
    keep: { id: string }[];
  }[];
  return groups.flatMap(({ keep }) => keep.map(({ id }) => id)).toSorted();
}

async function prune(who: Who, where: string): Promise<void> {
  const limits = ['--max-unused', random.pick(['0', '5%', '50%', 'unlimited'])];
  if (random.fraction() < 0.3) limits.push('--max-repack-size', '10m');
  if (who === 'holdfast') await world.run('prune', ...limits);
  else await world.judge('prune', ...limits);
  await check(who === 'holdfast' ? 'restic' : 'holdfast', where);
}

async function check(who: Who, where: string): Promise<void> {
  const how = random.fraction() < 0.3 ? ['--read-data'] : [];
  if (who === 'holdfast') expect(await world.attempt(['check', ...how]), where).toMatchObject({ exit: 0 });
  else expect(await world.judge('check', ...how), where).toContain('no errors were found');
}

async function restoreOne(who: Who, where: string): Promise<void> {
  const snapshots = await listed('restic');
  if (snapshots.length > 0) await restoreAndCompare(who, random.pick(snapshots), where);
}

async function restoreEach(where: string): Promise<void> {
  for (const snapshot of await listed('holdfast')) {
    await restoreAndCompare('holdfast', snapshot, where);
    await restoreAndCompare('restic', snapshot, where);
  }
}

/** Restores the whole tree of a snapshot and compares the saved part. */
async function restoreAndCompare(who: Who, { id, time }: KnownSnapshot, where: string): Promise<void> {
  const target = join(world.folder, 'restored');
  const known = facts.get(time);
  const isOurs = known?.who === 'holdfast';
  if (who === 'restic') await world.judge('restore', id, '--target', target);
  else await world.run('restore', id, '--to', target);
  // Holdfast restores its own snapshots from the root of their data.
  const data = isOurs ? (who === 'restic' ? join(target, 'volume/data') : target) : join(target, root);
  const files = treeFacts(data, { without: ['holes'] }).slice(1);
  expect(files, `${where}, ${who} restores ${id}`).toEqual(known?.files);
  rmSync(target, { recursive: true });
}

async function tag(who: Who): Promise<void> {
  const snapshots = await listed('holdfast');
  if (snapshots.length === 0) return;
  const { id } = random.pick(snapshots);
  const change = random.pick([
    ['--add', 'a'],
    ['--remove', 'a'],
    ['--add', 'b'],
  ]);
  if (who === 'holdfast') await world.run('tag', ...change, id);
  else await world.judge('tag', ...change, id);
}

/** A key added by one program opens the repository for the other. */
async function addKey(who: Who, where: string): Promise<void> {
  const file = join(world.folder, `password-${++passwords}`);
  writeFileSync(file, `password ${passwords}`);
  const ids = (await listed('restic')).map(({ id }) => id);
  if (who === 'holdfast') {
    await world.run('key', 'add', '--new-password-file', file);
    const opened = await world.judge('snapshots', '--json', '--password-file', file);
    expect((JSON.parse(opened) as KnownSnapshot[]).map(({ id }) => id).toSorted(), where).toEqual(ids);
  } else {
    await world.judge('key', 'add', '--new-password-file', file);
    const opened = await world.run(
      'snapshots',
      '--quiet',
      '--password-file',
      file,
      '--repo',
      world.repository,
    );
    expect(opened.split('\n').filter(Boolean).toSorted(), where).toEqual(ids);
  }
}

/** In Go's form: without trailing zeros of a fraction. */
function shortest(time: string): string {
  return time.replace(/\.(\d*?)0*(?=Z|[+-])/, (_, digits: string) => (digits === '' ? '' : `.${digits}`));
}

/** By id. */
async function listed(who: Who): Promise<KnownSnapshot[]> {
  const text =
    who === 'restic'
      ? await world.judge('snapshots', '--json')
      : await world.run('snapshots', '--format', 'json');
  return (JSON.parse(text) as (KnownSnapshot & { tags?: readonly string[] | null })[])
    .map(({ id, time, tags }) => ({ id, time: shortest(time), tags: tags ?? [] }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Both list the same snapshots, and the expected ones. */
async function agree(where: string): Promise<void> {
  const ours = await listed('holdfast');
  expect(ours, where).toEqual(await listed('restic'));
  expect(ours.map(({ time }) => time).toSorted(), where).toEqual([...facts.keys()].toSorted());
}
