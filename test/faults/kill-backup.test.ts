import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { type BackupJson, FaultWorld } from './fault-world.ts';
import { changeData, makeData } from './living-data.ts';
import { dice, moments, seed, times, withinBudget } from './seeded.ts';

const kills = times({ all: 50, daily: 8 });
const restoreEvery = 5;

let world: FaultWorld;
/** The expected content of each snapshot. */
const facts = new Map<string, string[]>();

beforeAll(async () => {
  world = new FaultWorld();
  await world.init();
});
afterAll(() => world[Symbol.dispose]());

test(
  `a backup that is killed at up to ${kills} moments leaves a whole repository, and the next one succeeds without a hand`,
  async () => {
    const random = dice('kill backup');
    const root = await world.volume('data');
    makeData(root, { folders: 30, filesInEach: 100, largeBytes: 110_000_000 }, random);
    await backUp(root);
    changeData(root, 25_000_000, random);
    let fullMs = await backUp(root);
    const undone = { rounds: 0, killed: 0, strays: 0 };

    for (const [round, moment] of withinBudget(moments(kills, random), {
      seconds: 35,
      atLeast: 4,
    })) {
      undone.rounds++;
      changeData(root, 25_000_000, random);
      const afterMs = moment * fullMs;
      const where = `seed ${seed}, kill ${round + 1}, after ${Math.round(afterMs)} of ${Math.round(fullMs)} ms`;
      const { exit } = await world.killed(['backup', 'data'], afterMs);
      if (exit === 137) undone.killed++;
      undone.strays += world.strays().length;
      await checkBothWays(round % 2 === 0, where);
      await acceptFinished(root, where);
      fullMs = await backUp(root);
      if (round % restoreEvery === 0)
        await restoreOne(random.pick([...facts.keys()]), where, round % 2 === 0);
    }
    console.log(
      `seed ${seed}: ${undone.killed} of ${undone.rounds} backups were killed before their end, ${undone.strays} unfinished files, ${facts.size} snapshots`,
    );
    expect(undone.killed).toBeGreaterThan(undone.rounds / 4);
    await world.judge('check', '--read-data');
    await world.run('check', '--read-data');
    await sweepsLeftovers(root);
  },
  20 * 60_000,
);

/** Runs a complete backup; returns its duration. */
async function backUp(root: string): Promise<number> {
  const { exit, stdout, stderr, ms } = await world.attempt(['backup', 'data', '--format', 'json']);
  expect(exit, `seed ${seed}: ${stderr}`).toBe(0);
  const [outcome] = (JSON.parse(stdout) as BackupJson).outcomes;
  expect(outcome).toMatchObject({ outcome: 'good', problems: [] });
  facts.set(outcome?.snapshotId ?? '', treeFacts(root));
  return ms;
}

async function checkBothWays(holdfastFirst: boolean, where: string): Promise<void> {
  if (holdfastFirst) {
    // No unlock is needed: the lock of a dead process of this machine is removed on the way.
    expect(await world.attempt(['check']), where).toMatchObject({ exit: 0 });
    expect(await world.restic('list', 'locks'), where).toMatchObject({ exit: 0, stdout: '' });
  } else await world.judge('unlock');
  expect(await world.judge('check'), where).toContain('no errors were found');
}

/** A kill at the very end may come after the snapshot is stored: then it is complete. */
async function acceptFinished(root: string, where: string): Promise<void> {
  const extra = (await world.ids('data')).filter((id) => !facts.has(id));
  expect(extra.length, where).toBeLessThanOrEqual(1);
  for (const id of extra) facts.set(id, treeFacts(root));
}

/** A backup removes leftovers of killed ones, once no process can still be writing them. */
async function sweepsLeftovers(root: string): Promise<void> {
  writeFileSync(join(world.repository, 'data/00/tmp-999999999-0123456789abcdef'), 'half');
  const young = join(world.repository, 'data/01/tmp-999999999-0123456789abcdef');
  for (const path of world.strays()) utimesSync(join(world.repository, path), 1, Date.now() / 1000 - 7200);
  writeFileSync(young, 'half');
  await backUp(root);
  expect(world.strays()).toEqual(['data/01/tmp-999999999-0123456789abcdef']);
}

async function restoreOne(id: string, where: string, byRestic: boolean): Promise<void> {
  const target = join(world.folder, 'restored');
  if (byRestic) await world.judge('restore', `${id}:/volume/data`, '--target', target);
  else await world.run('restore', `data@${id}`, '--to', target);
  // restic gives the target itself no metadata.
  expect(treeFacts(target).slice(1), `${where}, snapshot ${id}`).toEqual(facts.get(id)?.slice(1));
  rmSync(target, { recursive: true });
}
