import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { type BackupJson, FaultWorld } from './fault-world.ts';
import { makeData } from './living-data.ts';
import { dice, seed, times } from './seeded.ts';

let world: FaultWorld;
beforeEach(async () => {
  world = new FaultWorld();
});
afterEach(() => world[Symbol.dispose]());

interface SnapshotJson {
  readonly id: string;
  readonly problemCount: number;
}

const rounds = times({ all: 12, daily: 2 });

test(`files that appear, disappear, grow, shrink and change their type under ${rounds} backups are named`, async () => {
  await world.init();
  const random = dice('restless');
  const root = await world.volume('data');
  const quiet = join(root, 'quiet');
  mkdirSync(quiet);
  makeData(quiet, { folders: 4, filesInEach: 40, largeBytes: 3_000_000 }, random);
  symlinkSync('/etc/passwd', join(quiet, 'link'));
  execFileSync('mkfifo', [join(quiet, 'fifo')]);
  const quietFacts = treeFacts(quiet);
  const reasons: Record<string, number> = {};
  for (let round = 0; round < rounds; round++) {
    const restless = join(root, 'restless');
    rmSync(restless, { recursive: true, force: true });
    mkdirSync(restless);
    makeData(restless, { folders: 20, filesInEach: 100, largeBytes: 25_000_000 }, random);
    const running = world.start(['backup', 'data', '--format', 'json']);
    let isOver = false;
    void running.ended.then(() => (isOver = true));
    while (!isOver) {
      for (let i = 0; i < 4; i++) disturb(restless, random.pick(acts), random);
      await sleep(1);
    }
    const { exit, stdout, stderr } = await running.ended;
    const where = `seed ${seed}, round ${round + 1}: ${stderr.slice(0, 2000)}`;
    const [outcome] = (JSON.parse(stdout) as BackupJson).outcomes;
    expect(outcome?.error, where).toBeNull();
    const warnings = stderr.split('\n').filter((line) => line.startsWith('Warning: "restless'));
    expect(warnings, where).toHaveLength(Math.min(20, outcome?.problems.length ?? 0));
    expect(exit, where).toBe(outcome?.problems.length === 0 ? 0 : 3);
    for (const { path, reason, message } of outcome?.problems ?? []) {
      expect(path, where).toMatch(/^restless/);
      expect(message, where).not.toBe('');
      reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
    const snapshot = (await world.json<SnapshotJson[]>('snapshots', 'data')).at(-1);
    expect(snapshot?.id).toBe(outcome?.snapshotId);
    expect(snapshot?.problemCount).toBe(outcome?.problems.length);
    await world.run('restore', snapshot?.id ?? '', '--to', './copy');
    expect(treeFacts(join(world.folder, 'copy/quiet')), where).toEqual(quietFacts);
    rmSync(join(world.folder, 'copy'), { recursive: true });
  }
  console.log(`seed ${seed}: ${rounds} restless backups, problems ${JSON.stringify(reasons)}`);
  expect(Object.keys(reasons).length).toBeGreaterThan(0);
  expect(await world.judge('check', '--read-data')).toContain('no errors were found');
});

const acts = [
  'remove',
  'move',
  'grow',
  'shrink',
  'link',
  'fifo',
  'folder',
  'large grows',
  'remove folder',
] as const;

function disturb(root: string, act: (typeof acts)[number], random: ReturnType<typeof dice>): void {
  const folder = join(root, `folder-${random.between(0, 20)}`);
  const path = join(folder, `file-${random.between(0, 100)}`);
  try {
    if (act === 'large grows') return appendFileSync(join(root, 'large'), 'more');
    if (act === 'remove folder')
      return random.fraction() < 0.02 ? rmSync(folder, { recursive: true }) : undefined;
    // Opening a fifo would wait for its reader.
    if (!lstatSync(path).isFile()) return;
    if (act === 'grow') return appendFileSync(path, random.bytes(1000));
    if (act === 'shrink') return truncateSync(path, 10);
    if (act === 'move') return renameSync(path, `${path}-moved`);
    rmSync(path, { recursive: true });
    if (act === 'link') symlinkSync('/etc/passwd', path);
    if (act === 'fifo') execFileSync('mkfifo', [path]);
    if (act === 'folder') mkdirSync(path);
  } catch {
    // The entry is already gone, which is what this tests.
  }
}

test.runIf(process.getuid?.() === 0)(
  'what one may not read is named each by each, and makes the snapshot partial',
  async () => {
    const uid = 1234;
    const mine = world.mkdir('mine');
    const source = world.mkdir('mine/source');
    chmodSync(world.folder, 0o755);
    world.stateDir = join(mine, 'state');
    world.repository = join(mine, 'repository');
    writeFileSync(join(source, 'readable'), 'content');
    writeFileSync(join(source, 'mode 0'), 'content');
    mkdirSync(join(source, 'closed'));
    writeFileSync(join(source, 'closed/inner'), 'content');
    mkdirSync(join(source, 'list only'));
    writeFileSync(join(source, 'list only/inner'), 'content');
    execFileSync('mkfifo', [join(source, 'fifo')]);
    for (const path of [mine, source]) execFileSync('chown', ['-R', `${uid}:${uid}`, path]);
    writeFileSync(join(source, 'of root'), 'content', { mode: 0o600 });
    chownSync(join(source, 'of root'), 0, 0);
    chmodSync(join(source, 'mode 0'), 0);
    chmodSync(join(source, 'closed'), 0);
    chmodSync(join(source, 'list only'), 0o400);

    const asUser = { uid, env: { HOME: mine } };
    const init = await world.attempt(['init', '--repo', world.repository], asUser);
    expect(init.exit, init.stderr).toBe(0);
    const saved = await world.attempt(['backup', source, '--format', 'json'], asUser);
    expect(saved.exit, saved.stderr).toBe(3);
    const [outcome] = (JSON.parse(saved.stdout) as BackupJson).outcomes;
    expect(outcome?.problems.map(({ path, reason }) => [path, reason]).sort()).toEqual([
      ['closed', 'unreadable'],
      ['list only', 'unreadable'],
      ['mode 0', 'unreadable'],
      ['of root', 'unreadable'],
    ]);
    for (const name of ['closed', 'list only', 'mode 0', 'of root'])
      expect(saved.stderr).toContain(`"${name}"`);
    const listed = await world.attempt(['snapshots'], asUser);
    expect(listed.stdout).toMatch(/PROBLEMS.*\n.* 4$/m);
    const back = await world.attempt(['restore', source, '--to', join(mine, 'copy')], asUser);
    expect(back.exit, back.stderr).toBe(0);
    expect(readdirSync(join(mine, 'copy')).sort()).toEqual(['closed', 'fifo', 'list only', 'readable']);
  },
);

test('a source that is removed while it is saved is no empty snapshot without a word', async () => {
  await world.init();
  const source = world.mkdir('source');
  makeData(source, { folders: 30, filesInEach: 60, largeBytes: 40_000_000 }, dice('removed'));
  const running = world.start(['backup', './source']);
  await sleep(350);
  renameSync(source, `${source}-away`);
  const { exit, stderr } = await running.ended;
  expect([0, 3, 4], stderr).toContain(exit);
  const again = await world.attempt(['backup', './source']);
  expect(again.exit, again.stderr).toBe(4);
  expect(await world.judge('check')).toContain('no errors were found');
});
