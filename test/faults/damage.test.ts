import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { FaultWorld } from './fault-world.ts';
import { changeData, makeData } from './living-data.ts';
import { dice, seed, times } from './seeded.ts';

const damages = times({ all: 80, daily: 9 });
const random = dice('damage');

let world: FaultWorld;
let pristine: string;
/** The expected content of each snapshot. */
const facts = new Map<string, string[]>();

beforeAll(async () => {
  world = new FaultWorld();
  pristine = join(world.folder, 'pristine');
  await world.init();
  for (const name of ['data', 'other']) {
    const root = await world.volume(name);
    makeData(root, { folders: 4, filesInEach: 12, largeBytes: 9_000_000 }, random);
    for (let count = name === 'data' ? 2 : 1; count > 0; count--) {
      changeData(root, 1_000_000, random);
      await world.run('backup', name);
      facts.set((await world.ids(name)).at(-1) ?? '', treeFacts(root));
    }
  }
  execFileSync('cp', ['-a', world.repository, pristine]);
});
afterAll(() => world[Symbol.dispose]());

interface Damage {
  readonly what: string;
  readonly type: string;
  /** In the repository. */
  readonly file: string;
}

const types = ['data', 'data', 'index', 'snapshots', 'keys', 'config'];

test(
  `of ${damages} damages none that restic finds goes unnoticed, and intact snapshots are restored`,
  async () => {
    const count = { found: 0, harmless: 0, restored: 0, refused: 0 };
    for (let round = 0; round < damages; round++) {
      rmSync(world.repository, { recursive: true });
      execFileSync('cp', ['-a', pristine, world.repository]);
      const damage = makeDamage(types[round % types.length] ?? 'data');
      const where = `seed ${seed}, damage ${round + 1}: ${damage.what}`;
      const byRestic = await world.restic('check', '--read-data');
      const own = await world.attempt(['check', '--read-data']);
      if (byRestic.exit !== 0) {
        expect(own.exit, `${where}\n${own.stdout}${own.stderr}\nrestic: ${byRestic.stderr}`).toBe(6);
        expect(own.stderr, where).toMatch(/"[^"]+"/);
      } else expect([0, 6], `${where}: ${own.stderr}`).toContain(own.exit);
      count[own.exit === 0 ? 'harmless' : 'found']++;
      const wasRestored = await restoreSome(damage, where);
      for (const done of wasRestored) count[done ? 'restored' : 'refused']++;
    }
    console.log(`seed ${seed}: ${damages} damages, ${JSON.stringify(count)}`);
    expect(count.restored).toBeGreaterThan(0);
    expect(count.refused).toBeGreaterThan(0);
  },
  20 * 60_000,
);

/**
 * Two of the snapshots: each is restored exactly, or refused with the exit number of `integrity` where restic
 * cannot restore it either.
 */
async function restoreSome(damage: Damage, where: string): Promise<boolean[]> {
  const done: boolean[] = [];
  for (const id of random.shuffled([...facts.keys()]).slice(0, 2)) {
    const target = join(world.folder, 'restored');
    const { exit, stderr } = await world.attempt(['restore', id, '--to', target]);
    done.push(exit === 0);
    if (exit === 0) {
      expect(treeFacts(target), `${where}, snapshot ${id}`).toEqual(facts.get(id));
      rmSync(target, { recursive: true });
      continue;
    }
    expect(existsSync(target), `${where}, snapshot ${id}: nothing half done`).toBe(false);
    const isGone = damage.file === `snapshots/${id}` && !existsSync(join(world.repository, damage.file));
    expect(exit, `${where}, snapshot ${id}: ${stderr}`).toBe(isGone ? 4 : 6);
    expect(stderr, `${where}, snapshot ${id}`).toMatch(/^holdfast: .*"[^"]+"/m);
    const byRestic = await world.restic('restore', `${id}:/`, '--target', target, '--verify');
    expect(byRestic.exit, `${where}, snapshot ${id}: restic restores it. ${stderr}`).not.toBe(0);
    rmSync(target, { recursive: true, force: true });
  }
  return done;
}

function makeDamage(type: string): Damage {
  const file = random.pick(filesOf(type));
  const path = join(world.repository, file);
  const content = readFileSync(path);
  const at = random.between(0, content.length);
  const kind = random.pick(['flip', 'flip', 'cut', 'zero', 'grow', 'delete', 'mixed up'] as const);
  if (kind === 'flip') content[at] = (content[at] ?? 0) ^ (1 << random.between(0, 8));
  if (kind === 'zero') content.fill(0, at, Math.min(at + 512, content.length));
  if (kind === 'flip' || kind === 'zero') writeFileSync(path, content);
  if (kind === 'cut') truncateSync(path, at);
  if (kind === 'grow') writeFileSync(path, Buffer.concat([content, random.bytes(random.between(1, 100))]));
  if (kind === 'delete') rmSync(path);
  if (kind === 'mixed up')
    writeFileSync(path, readFileSync(join(world.repository, random.pick(filesOf(type)))));
  return { what: `${kind} at ${at} of ${content.length} in ${file}`, type, file };
}

function filesOf(type: string): string[] {
  if (type === 'config') return ['config'];
  return readdirSync(join(world.repository, type), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => `${type}/${name}`)
    .sort();
}
