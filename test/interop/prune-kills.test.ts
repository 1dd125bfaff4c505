import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultWorld } from '../faults/fault-world.ts';
import { changeData, makeData } from '../faults/living-data.ts';
import { dice, moments, seed, times, withinBudget } from '../faults/seeded.ts';
import { treeFacts } from '../support/tree-facts.ts';

const kills = times({ all: 120, daily: 30 });
const restoreEvery = 6;

let world: FaultWorld;
/** The expected content of each snapshot. */
const facts = new Map<string, string[]>();

beforeAll(async () => {
  world = new FaultWorld();
  await world.init();
});
afterAll(() => world[Symbol.dispose]());

test(
  `a prune that is killed at up to ${kills} moments leaves a whole repository and every snapshot`,
  async () => {
    const random = dice('kill prune');
    const root = await world.volume('data');
    makeData(root, { folders: 8, filesInEach: 40, largeBytes: 30_000_000 }, random);
    for (let i = 0; i < 4; i++) await backUp(root, random);
    await forgetOldest(1);
    let fullMs = await prune();
    const seen = { rounds: 0, killed: 0 };

    for (const [round, moment] of withinBudget(moments(kills, random), {
      seconds: 50,
      atLeast: 6,
    })) {
      seen.rounds++;
      // The first quarter is the start of the command and the password.
      const share = 0.25 + 0.75 * moment;
      const where = `seed ${seed}, kill ${round + 1}, at ${Math.round(share * 100)}% of ${Math.round(fullMs)} ms`;
      if (round % 3 === 0) {
        await backUp(root, random);
        await backUp(root, random);
        await forgetOldest(random.between(1, 3));
      }
      const { exit, ms } = await world.killed(pruneCommand, share * fullMs);
      if (exit === 137) seen.killed++;
      // The duration depends on the machine's load.
      else fullMs = Math.min(fullMs, ms);
      await checkBothWays(round % 2 === 0, where);
      if (round % restoreEvery === 0) await restoreAll(round % 4 === 0, where);
      // Every third round completes the prune; otherwise the next one finds what several killed ones have
      // left.
      if (round % 3 === 2) fullMs = await prune();
    }
    console.log(`seed ${seed}: ${seen.killed} of ${seen.rounds} prunes were killed before their end`);
    expect(seen.killed).toBeGreaterThan(seen.rounds / 4);
    await prune();
    await restoreAll(true, `seed ${seed}, at the end`);
    expect(await world.judge('check', '--read-data')).toContain('no errors were found');
    await world.run('check', '--read-data');
    expect(await leftovers(), 'nothing unused is left').toEqual({
      unused: 0,
      unreferenced: 0,
      duplicates: 0,
    });
  },
  30 * 60_000,
);

const pruneCommand = ['prune', '--max-unused', '0'];

/** Runs a complete prune; returns its duration. */
async function prune(): Promise<number> {
  const { exit, stderr, ms } = await world.attempt(pruneCommand);
  expect(exit, `seed ${seed}: ${stderr}`).toBe(0);
  return ms;
}

async function backUp(root: string, random: ReturnType<typeof dice>): Promise<void> {
  changeData(root, 6_000_000, random);
  await world.run('backup', 'data', '--quiet');
  facts.set((await world.ids('data')).at(-1) ?? '', treeFacts(root));
}

async function forgetOldest(count: number): Promise<void> {
  const ids = await world.ids('data');
  const leaving = ids.slice(0, Math.max(0, Math.min(count, ids.length - 2)));
  if (leaving.length === 0) return;
  await world.run('forget', ...leaving, '--yes');
  for (const id of leaving) facts.delete(id);
}

async function checkBothWays(holdfastFirst: boolean, where: string): Promise<void> {
  if (holdfastFirst) expect(await world.attempt(['check']), where).toMatchObject({ exit: 0 });
  await world.judge('unlock');
  expect(await world.judge('check'), where).toContain('no errors were found');
  expect((await world.ids('data')).toSorted(), where).toEqual([...facts.keys()].toSorted());
}

async function restoreAll(byRestic: boolean, where: string): Promise<void> {
  for (const [id, expected] of facts) {
    const target = join(world.folder, 'restored');
    if (byRestic) await world.judge('restore', `${id}:/volume/data`, '--target', target);
    else await world.run('restore', `data@${id}`, '--to', target);
    // restic gives the target itself no metadata.
    expect(treeFacts(target).slice(1), `${where}, snapshot ${id}`).toEqual(expected.slice(1));
    rmSync(target, { recursive: true });
  }
}

interface PruneJson {
  readonly unused: { readonly count: number };
  readonly unreferenced: { readonly count: number };
  readonly duplicates: { readonly count: number };
}

async function leftovers(): Promise<object> {
  const { unused, unreferenced, duplicates } = await world.json<PruneJson>('prune', '--dry-run');
  return { unused: unused.count, unreferenced: unreferenced.count, duplicates: duplicates.count };
}
