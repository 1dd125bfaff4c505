import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { lies, type StoreFault, storeFaults, strikes } from './faulty-store.ts';
import { RandomWorld, type Work, type WorkEnd, works } from './random-world.ts';
import { dice, randomTimes, seed, withinBudget } from './seeded.ts';
import { command } from '../support/holdfast-command.ts';

const rounds = randomTimes({ all: 1000, daily: 16 });
const random = dice('random faults');

let world: RandomWorld;
let where = '';

beforeAll(async () => {
  world = new RandomWorld(random);
  await world.prepare();
});
afterAll(() => world[Symbol.asyncDispose]());

interface Count {
  rounds: number;
  /** How often a fault actually struck. */
  struck: number;
  done: number;
  refused: number;
}

const counts = new Map<string, Count>();

function count(kind: string, add: Partial<Count>): void {
  const now = counts.get(kind) ?? { rounds: 0, struck: 0, done: 0, refused: 0 };
  for (const key of ['rounds', 'struck', 'done', 'refused'] as const) now[key] += add[key] ?? 0;
  counts.set(kind, now);
}

/** The weights of the kinds. */
const kinds = [
  ...storeFaults.flatMap((fault) => [fault, fault]),
  ...(['is killed', 'is cancelled', 'is damaged', 'are at work together'] as const).flatMap((kind) => [
    kind,
    kind,
    kind,
  ]),
] as const;

test(
  `up to ${rounds} random faults lose no snapshot, and nothing that failed is called good`,
  async () => {
    let done = 0;
    for (const [round] of withinBudget(Array.from({ length: rounds }), { seconds: 45, atLeast: 10 })) {
      done++;
      const kind = random.pick(kinds);
      const work = random.pick(isStoreFault(kind) ? works.filter((one) => canMeet(one, kind)) : works);
      where = `seed ${seed}, fault ${round + 1} of ${rounds}: ${work}, ${kind}`;
      try {
        await meet(work, kind);
        if (round % 7 === 6) await world.expectSaved();
      } catch (error) {
        throw new Error(`After ${where}`, { cause: error });
      }
    }
    await judgeWhole({ isThorough: true });
    print(done);
    const struck = [...counts.values()].reduce((sum, one) => sum + one.struck, 0);
    // With a short budget, the share of few faults varies more.
    expect(struck).toBeGreaterThanOrEqual(done < rounds ? done / 6 : done / 3);
  },
  rounds * 60_000,
);

async function meet(work: Work, kind: (typeof kinds)[number]): Promise<void> {
  if (kind === 'is killed') await killed(work);
  else if (kind === 'is cancelled') await cancelled(work);
  else if (kind === 'is damaged') await damaged();
  else if (kind === 'are at work together') await together();
  else await withFault(work, kind);
}

function print(done: number): void {
  console.log(`seed ${seed}: ${done} faults, ${world.facts.size} snapshots at the end`);
  for (const [kind, { rounds: all, struck, done, refused }] of [...counts].sort(([a], [b]) =>
    a < b ? -1 : 1,
  ))
    console.log(`  ${kind.padEnd(26)} ${all} times, struck ${struck}, done ${done}, refused ${refused}`);
}

function isStoreFault(kind: (typeof kinds)[number]): kind is StoreFault {
  return storeFaults.some((fault) => fault === kind);
}

/** Only a work that writes can meet a full store. */
function canMeet(work: Work, fault: StoreFault): boolean {
  const kindsOfFault = strikes[fault];
  if (kindsOfFault.includes('read') || kindsOfFault.includes('list')) return true;
  if (kindsOfFault.includes('write') && ['backup', 'prune', 'copy'].includes(work)) return true;
  return kindsOfFault.includes('delete') && ['forget', 'prune'].includes(work);
}

/** Does one work while a store fails. */
async function withFault(work: Work, fault: StoreFault): Promise<void> {
  // A copy writes only to the second store.
  const isSecond = work === 'copy' && (strikes[fault].includes('write') || random.fraction() < 0.5);
  const store = world.store(isSecond ? 'second' : 'main');
  const isLie = lies.includes(fault);
  if (work === 'backup') world.change();
  if (work === 'copy') await world.expectSaved();
  if (work === 'prune') await forgetOldest();
  const now = treeFacts(world.source);
  if (isLie && !isSecond) world.keep();
  store.plan = {
    fault,
    from: random.between(0, strikes[fault].includes('read') ? 8 : 3),
    times: random.pick([1, 1, 2, 5, 1000]),
    salt: random.between(0, 2 ** 30),
  };
  const end = await world.work(work);
  const { struck } = store;
  store.plan = undefined;
  count(fault, {
    rounds: 1,
    struck: struck > 0 ? 1 : 0,
    done: end.isDone ? 1 : 0,
    refused: end.isDone ? 0 : 1,
  });
  if (isLie && isSecond) return await judgeSecond(true);
  if (!isLie || struck === 0) {
    await remember(end, now);
    await judgeWhole({});
    if (work === 'copy') await judgeSecond(false);
    return;
  }
  await judgeLie(end, now);
  world.goBack();
  await judgeWhole({});
}

/** Gives the prune something to free. */
async function forgetOldest(): Promise<void> {
  if (world.facts.size > 4) await remember(await world.work('forget'), []);
}

/**
 * The store may lack what it claims to have: the check has to find that, and what it calls intact must be so.
 */
async function judgeLie(end: WorkEnd, now: readonly string[]): Promise<void> {
  await using app = world.open();
  await app.recoverAtStart('host');
  const { errors, wholeSnapshots } = await app.proof.check({ readDataPercent: 100 });
  const factsOf = (id: string): readonly string[] | undefined =>
    id === end.saved ? now : world.facts.get(id);
  const listed = (await app.snapshots.list({})).map(({ id }) => id);
  if (errors.length === 0) {
    if (end.saved !== undefined) expect(listed, `${where}: said to be saved`).toContain(end.saved);
    expect(wholeSnapshots.toSorted(), where).toEqual(listed.toSorted());
  }
  for (const id of listed.filter((one) => wholeSnapshots.includes(one)).slice(-3)) {
    const facts = factsOf(id);
    if (facts !== undefined) await world.expectRestores(app, id, { facts });
  }
}

/**
 * Records the current state. A late failure may have left a complete snapshot, and a forget may be half done.
 */
async function remember(end: WorkEnd, now: readonly string[]): Promise<void> {
  await using app = world.open();
  await app.recoverAtStart('host');
  const listed = (await app.snapshots.list({})).map(({ id }) => id);
  if (end.saved !== undefined) expect(listed, `${where}: said to be saved`).toContain(end.saved);
  for (const id of end.removed ?? []) expect(listed, `${where}: said to be removed`).not.toContain(id);
  for (const id of listed) if (!world.facts.has(id)) world.facts.set(id, now);
  const isForget = end.removed !== undefined || where.includes(': forget,') || where.includes('together');
  for (const id of world.facts.keys()) {
    if (listed.includes(id)) continue;
    expect(isForget, `${where}: snapshot ${id} is gone`).toBe(true);
    world.facts.delete(id);
  }
  expect(world.facts.size, where).toBeGreaterThan(0);
}

/** Nothing is damaged, every snapshot exists, and one of them is the saved one. */
async function judgeWhole({ isThorough = random.fraction() < 0.04 }): Promise<void> {
  await using app = world.open();
  await app.recoverAtStart('host');
  const { errors, wholeSnapshots } = await app.proof.check({ readDataPercent: 100 });
  expect(errors, where).toEqual([]);
  expect(wholeSnapshots.toSorted(), where).toEqual([...world.facts.keys()].sort());
  const ids = [...world.facts.keys()];
  for (const id of isThorough ? ids : random.fraction() < 0.3 ? [random.pick(ids)] : [])
    await world.expectRestores(app, id);
  if (!isThorough) return;
  const { exitCode, output } = await world.restic('check', '--read-data');
  expect(exitCode, `${where}: ${output}`).toBe(0);
}

async function judgeSecond(mayBeDamaged: boolean): Promise<void> {
  const again = await world.work('copy');
  await using app = world.open('second');
  await app.recoverAtStart('host');
  const { errors } = await app.proof.check({ readDataPercent: 100 });
  if (mayBeDamaged && errors.length > 0) {
    rmSync(join(world.second, 'data'), { recursive: true });
    for (const type of ['index', 'snapshots'])
      for (const name of readdirSync(join(world.second, type))) rmSync(join(world.second, type, name));
    rmSync(join(world.stateDir, 'cache'), { recursive: true, force: true });
    return;
  }
  expect(errors, where).toEqual([]);
  expect(again, where).toMatchObject({ isDone: true });
  await using main = world.open();
  await main.recoverAtStart('host');
  const newest = (await main.snapshots.list({})).at(-1);
  const copy = (await app.snapshots.list({})).find(({ time }) => time === newest?.time);
  if (newest === undefined || copy === undefined)
    throw new Error(`${where}: the newest snapshot was not copied`);
  await world.expectRestores(app, copy.id, { facts: world.facts.get(newest.id) });
}

/** The real command, which is killed. */
async function killed(work: Work): Promise<void> {
  const args = {
    backup: ['backup', world.source],
    forget: ['forget', '--keep-last', '4', '--yes'],
    prune: ['prune', '--max-unused', '0%', '--yes'],
    copy: ['copy', '--to-repo', 'second'],
    restore: ['restore', [...world.facts.keys()].at(-1) ?? '', '--to', join(world.folder, 'half')],
    check: ['check', '--read-data'],
  }[work];
  if (work === 'backup') world.change();
  const now = treeFacts(world.source);
  const child = spawn(command, args, { env: world.environment, stdio: 'ignore' });
  const gone = once(child, 'close');
  await Promise.race([pause(random.between(150, 1300)), gone]);
  const wasKilled = child.kill('SIGKILL');
  await gone;
  rmSync(join(world.folder, 'half'), { recursive: true, force: true });
  count('is killed', { rounds: 1, struck: wasKilled ? 1 : 0, done: wasKilled ? 0 : 1 });
  await remember({ isDone: false }, now);
  await judgeWhole({});
  if (work === 'copy') await judgeSecond(false);
}

async function cancelled(work: Work): Promise<void> {
  if (work === 'backup') world.change();
  const now = treeFacts(world.source);
  const end = await world.work(work, AbortSignal.timeout(random.between(1, 500)));
  count('is cancelled', {
    rounds: 1,
    struck: end.isDone ? 0 : 1,
    done: end.isDone ? 1 : 0,
    refused: end.isDone ? 0 : 1,
  });
  await remember(end, now);
  await judgeWhole({});
  if (work === 'copy') await judgeSecond(false);
}

/** Changes something in the store. restic judges whether it matters. */
async function damaged(): Promise<void> {
  world.keep();
  const type = random.pick(['data', 'data', 'index', 'snapshots', 'keys', 'config'] as const);
  const file = random.pick(filesOf(type));
  const content = readFileSync(file);
  const at = random.between(0, content.length);
  const how = random.pick(['flip', 'flip', 'cut', 'lose'] as const);
  if (how === 'flip') {
    content[at] = (content[at] ?? 0) ^ (1 << random.between(0, 8));
    writeFileSync(file, content);
  } else if (how === 'cut') truncateSync(file, at);
  else rmSync(file);
  where = `${where}: ${how} ${file} at ${at}`;
  rmSync(join(world.stateDir, 'cache'), { recursive: true, force: true });
  const byRestic = await world.restic('check', '--read-data');
  const own = await world.work('check');
  if (byRestic.exitCode !== 0) expect(own.isDone, `${where}: ${byRestic.output}`).toBe(false);
  const restored = await world.work('restore');
  count('is damaged', {
    rounds: 1,
    struck: byRestic.exitCode === 0 ? 0 : 1,
    done: restored.isDone ? 1 : 0,
    refused: restored.isDone ? 0 : 1,
  });
  world.goBack();
  rmSync(join(world.stateDir, 'cache'), { recursive: true, force: true });
  await judgeWhole({});
}

function filesOf(type: string): string[] {
  if (type === 'config') return [join(world.repository, 'config')];
  return readdirSync(join(world.repository, type), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(world.repository, type, name))
    .sort();
}

/** Two of ours and a restic at the same time. Each succeeds, or says that the repository is locked. */
async function together(): Promise<void> {
  world.change();
  const now = treeFacts(world.source);
  const byRestic = random.pick([
    ['backup', '--tag', 'restic', join(world.source, 'folder-0')],
    ['forget', '--tag', 'restic', '--keep-last', '1', '--prune'],
    ['check'],
  ]);
  const second = random.pick(['prune', 'forget', 'check', 'copy', 'restore'] as const);
  const [end, mate, restic] = await Promise.all([
    world.work('backup'),
    pause(random.between(0, 200)).then(() => world.work(second)),
    pause(random.between(0, 200)).then(() => world.restic(...byRestic)),
  ]);
  for (const one of [end, mate])
    if (!one.isDone)
      expect(one.message, where).toMatch(
        /lock|is at work on it|gone meanwhile|not there any more|was removed/i,
      );
  expect([0, 11], `${where}: ${restic.output}`).toContain(restic.exitCode);
  const ends = [end.isDone, mate.isDone, restic.exitCode === 0];
  count('are at work together', {
    rounds: 1,
    struck: 1,
    done: ends.filter(Boolean).length,
    refused: ends.filter((isDone) => !isDone).length,
  });
  await forgetRestics();
  await remember(end, now);
  await judgeWhole({});
}

/** Removes restic's own snapshots, which the other steps ignore. */
async function forgetRestics(): Promise<void> {
  const { stdout } = await world.restic('snapshots', '--tag', 'restic', '--json');
  const ids = (JSON.parse(stdout || '[]') as { id: string }[]).map(({ id }) => id);
  if (ids.length > 0) await world.restic('forget', ...ids);
}
