import { execFile } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { FaultWorld } from './fault-world.ts';
import { changeData, makeData } from './living-data.ts';
import { dice, moments, seed, times, withinBudget } from './seeded.ts';

const run = promisify(execFile);
const kills = times({ all: 25, daily: 6 });
const budget = { seconds: 30, atLeast: 3 };

let world: FaultWorld;
beforeAll(async () => {
  world = new FaultWorld();
  await world.init();
});
afterAll(() => world[Symbol.dispose]());

/** The next commands on a volume, which have to recover it. */
const nextCommands = [
  ['backup', 'data'],
  ['diff', 'data'],
  ['restore', 'data', '--dry-run'],
  ['volume', 'browse', 'data'],
  ['volume', 'export', 'data', '--output', 'exported.tar'],
] as const;

test(
  `a restore in place killed at up to ${kills} moments leaves the volume in its old or its new state`,
  async () => {
    const random = dice('kill restore');
    const root = await world.volume('data');
    makeData(root, { folders: 20, filesInEach: 40, largeBytes: 24_000_000 }, random);
    const older = treeFacts(root);
    await world.run('backup', 'data');
    changeData(root, 10_000_000, random);
    const newer = treeFacts(root);
    await world.run('backup', 'data');
    const [olderId = '', newerId = ''] = await world.ids('data');
    const seen = { rounds: 0, old: 0, new: 0, killed: 0 };
    let fullMs = await restore(olderId);
    let isOld = true;

    for (const [round, moment] of withinBudget(moments(kills, random), budget)) {
      seen.rounds++;
      const afterMs = moment * fullMs;
      const where = `seed ${seed}, kill ${round + 1}, after ${Math.round(afterMs)} of ${Math.round(fullMs)} ms`;
      const wanted = isOld ? newerId : olderId;
      const { exit } = await world.killed(restoring('data', wanted), afterMs);
      if (exit === 137) seen.killed++;
      const next = [...random.pick(nextCommands)];
      rmSync(join(world.folder, 'exported.tar'), { force: true });
      const settled = await world.attempt(next);
      expect(settled.exit, `${where}, ${next.join(' ')}: ${settled.stderr}`).toBe(0);
      const now = treeFacts(root);
      const isOlder = JSON.stringify(now) === JSON.stringify(older);
      if (!isOlder) expect(now, `${where}, ${next.join(' ')}`).toEqual(newer);
      seen[isOlder === isOld ? 'old' : 'new']++;
      // The next command on the volume removes the staging folder.
      await world.run('diff', 'data');
      expect(readdirSync(join(root, '..')).sort(), where).toEqual([...kept(), '_data'].sort());
      expect(journals(), where).toEqual([]);
      fullMs = await restore(isOld ? newerId : olderId);
      isOld = !isOld;
      expect(treeFacts(root), where).toEqual(isOld ? older : newer);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${seen.rounds} restores were killed before their end; ${seen.old} volumes were as before, ${seen.new} as in the snapshot`,
    );
    expect(seen.killed).toBeGreaterThan(seen.rounds / 4);
    await world.judge('check');
  },
  20 * 60_000,
);

function restoring(name: string, id: string): string[] {
  return ['restore', `${name}@${id}`, '--yes', '--no-safety-snapshot'];
}

async function restore(id: string): Promise<number> {
  const ended = await world.attempt(restoring('data', id));
  expect(ended.exit, `seed ${seed}: ${ended.stderr}`).toBe(0);
  return ended.ms;
}

/** The folders kept for an undo, according to the records: at most one. */
function kept(): string[] {
  const folder = join(world.stateDir, 'undo');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  expect(names.length).toBeLessThan(2);
  return names.map((name) => `.holdfast-restore-${name.slice(0, 16)}`);
}

function journals(): string[] {
  const folder = join(world.stateDir, 'journal');
  return existsSync(folder) ? readdirSync(folder) : [];
}

test.runIf(process.getuid?.() === 0)(
  `a restore into a mount point that is killed at up to ${kills} moments is not seen half done by any command`,
  async () => {
    const random = dice('kill restore inside');
    const place = world.mkdir('mounted');
    await run('mount', ['-t', 'tmpfs', 'none', place]);
    try {
      // Everything at the top: there the swap goes name by name.
      for (let i = 0; i < 1500; i++) writeFileSync(join(place, `file-${i}`), random.bytes(200));
      const older = factsOf(place);
      await world.run('backup', place);
      for (let i = 0; i < 1500; i++) {
        if (i % 3 === 0) rmSync(join(place, `file-${i}`));
        else if (i % 3 === 1) writeFileSync(join(place, `file-${i}`), random.bytes(200));
        else writeFileSync(join(place, `more-${i}`), random.bytes(200));
      }
      const newer = factsOf(place);
      await world.run('backup', place);
      const ids = [...(await world.ids(place))];
      const full = await world.attempt(restoring(place, ids[0] ?? ''));
      expect(full.exit, full.stderr).toBe(0);
      let isOld = true;
      let mixed = 0;
      let rounds = 0;
      for (const [round, moment] of withinBudget(moments(kills, random), budget)) {
        // The swap is in the last part of the work.
        const afterMs = (round % 3 === 0 ? moment : 0.6 + moment * 0.4) * full.ms;
        const where = `seed ${seed}, kill ${round + 1}, after ${Math.round(afterMs)} of ${Math.round(full.ms)} ms`;
        await world.killed(restoring(place, ids[isOld ? 1 : 0] ?? ''), afterMs);
        const raw = factsOf(place).join('\n');
        rounds++;
        if (raw !== older.join('\n') && raw !== newer.join('\n')) mixed++;
        await world.run('volume', 'ls');
        const isOlder = factsOf(place).join('\n') === older.join('\n');
        if (!isOlder) expect(factsOf(place), where).toEqual(newer);
        isOld = isOlder;
        expect(journals(), where).toEqual([]);
      }
      console.log(`seed ${seed}: ${mixed} of ${rounds} kills left something to put right`);
    } finally {
      await run('umount', [place]);
    }
  },
  10 * 60_000,
);

/** Without the time of the folder itself, in which the staging folder was created and removed. */
function factsOf(place: string): string[] {
  return treeFacts(place, { without: ['directoryTimes'] });
}

const volumeKills = times({ all: 15, daily: 3 });

test(
  `volume create, rm, clone and import that are killed at up to ${volumeKills} moments each are done or not done`,
  async () => {
    const random = dice('kill volume');
    const root = await world.volume('model');
    makeData(root, { folders: 6, filesInEach: 50, largeBytes: 12_000_000 }, random);
    const whole = treeFacts(root);
    await world.run('volume', 'export', 'model', '--output', 'model.tar');
    const full = await timeEach();
    let survived = 0;
    for (const [, moment] of withinBudget(moments(volumeKills, random), budget)) {
      for (const kind of ['create', 'clone', 'import', 'rm'] as const) {
        const afterMs = moment * full[kind];
        const where = `seed ${seed}, volume ${kind} killed after ${Math.round(afterMs)} of ${Math.round(full[kind])} ms`;
        if (kind === 'rm') await world.run('volume', 'clone', 'model', 'copy');
        await world.killed(commands[kind], afterMs);
        await acceptVolume(kind, whole, where);
        survived++;
      }
    }
    expect(survived).toBeGreaterThan(0);
  },
  10 * 60_000,
);

const commands = {
  create: ['volume', 'create', 'copy'],
  clone: ['volume', 'clone', 'model', 'copy'],
  import: ['volume', 'import', 'copy', '--input', 'model.tar'],
  rm: ['volume', 'rm', '--permanent', 'copy'],
};

async function timeEach(): Promise<Record<keyof typeof commands, number>> {
  const ms = { create: 0, clone: 0, import: 0, rm: 0 };
  for (const kind of ['create', 'clone', 'import'] as const) {
    const done = await world.attempt(commands[kind]);
    expect(done.exit, done.stderr).toBe(0);
    ms[kind] = done.ms;
    ms.rm = (await world.attempt(commands.rm)).ms;
  }
  return ms;
}

/**
 * The volume is complete, or empty where that is an earlier state, or missing; and the same command works
 * now.
 */
async function acceptVolume(kind: keyof typeof commands, whole: string[], where: string): Promise<void> {
  const listed = (await world.run('volume', 'ls', '--quiet')).split('\n');
  const copy = world.root('copy');
  if (listed.includes('copy')) {
    const names = readdirSync(copy).filter((name) => !name.startsWith('.holdfast-stage-'));
    if (names.length > 0) expect(visible(copy), where).toEqual(whole.slice(1));
    else expect(kind, `${where}: an empty volume`).not.toBe('rm');
    if (kind === 'create') expect(names, where).toEqual([]);
    if (kind === 'rm' || names.length > 0) await world.run('volume', 'rm', '--permanent', 'copy');
  }
  if (kind !== 'rm') {
    const again = await world.attempt(commands[kind]);
    expect(again.exit, `${where}, again: ${again.stderr}`).toBe(0);
    expect(treeFacts(copy).slice(1), `${where}, again`).toEqual(kind === 'create' ? [] : whole.slice(1));
    await world.run('volume', 'rm', '--permanent', 'copy');
  }
  expect(existsSync(join(copy, '..')), where).toBe(false);
  expect(readdirSync(join(world.stateDir, 'trash')), where).toEqual([]);
  rmSync(join(world.folder, 'exported.tar'), { force: true });
}

function visible(root: string): string[] {
  return treeFacts(root).filter((line) => !line.startsWith('"" ') && !line.startsWith('".holdfast-stage-'));
}
