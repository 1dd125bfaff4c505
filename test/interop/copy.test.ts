import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { initRepository, type Repository } from '../../src/repository/index.ts';
import { times } from '../faults/seeded.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { command, holdfastCommand } from '../support/holdfast-command.ts';
import {
  initTestRepository,
  newestSnapshot,
  openTestRepository,
  saveDirectory,
} from '../support/repository-fixture.ts';
import { resticCommand, resticPassword } from '../support/restic-command.ts';
import { treeFacts } from '../support/tree-facts.ts';

let folder: string;
let [from, to] = ['', ''];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'interop-copy-'));
  [from, to] = [join(folder, 'from'), join(folder, 'to')];
  return () => rmSync(folder, { recursive: true, force: true });
});

function makeTree(root: string, largeBytes: number): void {
  for (let directory = 0; directory < 10; directory++) {
    mkdirSync(join(root, `d${directory}`), { recursive: true });
    for (let file = 0; file < 30; file++)
      writeFileSync(join(root, `d${directory}`, `f${file}`), `${directory} ${file}\n`.repeat(file * 30));
  }
  writeFileSync(join(root, 'large'), randomBytes(largeBytes));
}

/** restic between the two. */
async function resticCopy(): Promise<string> {
  const { exitCode, output } = await runCommand(
    'restic',
    ['-r', to, '--no-cache', 'copy', '--from-repo', from, '--verbose'],
    { env: { ...process.env, RESTIC_PASSWORD: resticPassword, RESTIC_FROM_PASSWORD: resticPassword } },
  );
  expect(exitCode, output).toBe(0);
  return output;
}

async function expectWhole(location: string): Promise<void> {
  expect(await resticCommand(location).run('check', '--read-data')).toContain('no errors were found');
}

test('restic checks and restores a copy by Holdfast, and recognizes it as one', async () => {
  const source = join(folder, 'source');
  await makeHostileTree(source);
  makeTree(join(source, 'ordinary'), 5_000_000);
  await using repository = await initTestRepository(from);
  await saveDirectory(repository, source);
  writeFileSync(join(source, 'more'), 'more');
  await saveDirectory(repository, source);
  await using target = await initTestRepository(to);
  const report = await repository.copyTo(target);
  expect(report).toMatchObject({ failed: [], present: [] });
  expect(report.copied).toHaveLength(2);
  await expectWhole(to);
  const out = join(folder, 'out');
  await target.restore({ snapshot: await newestSnapshot(target), path: '', target: out });
  expect(treeFacts(out)).toEqual(treeFacts(source));
  expect(await newestSnapshot(target)).toMatchObject({ volume: { name: 'data' }, grade: 'cold' });

  expect((await resticCopy()).match(/skipping source snapshot/g)).toHaveLength(2);
  expect(await target.listSnapshots()).toHaveLength(2);
});

test.each(['auto', 'off', 'max'])(
  'what restic wrote with compression "%s", Holdfast copies, and it knows what restic copied',
  async (compression) => {
    const source = join(folder, 'source');
    makeTree(source, 3_000_000);
    const restic = resticCommand(from);
    await restic.run('init');
    await restic.run('backup', source, '--compression', compression, '--tag', 'a', '--exclude', 'd9');
    await resticCommand(to).run('init');
    await resticCopy();
    writeFileSync(join(source, 'more'), 'more');
    await restic.run('backup', source, '--compression', compression);

    await using repository = await openTestRepository(from);
    await using target = await openTestRepository(to);
    const report = await repository.copyTo(target);
    expect(report.present).toHaveLength(1);
    expect(report.copied).toHaveLength(1);
    await expectWhole(to);
    const out = join(folder, 'out');
    await target.restore({ snapshot: await newestSnapshot(target), path: '', target: out });
    expect(treeFacts(join(out, source))).toEqual(treeFacts(source));
    // restic recognizes copies of snapshots whose tags it changed, as Holdfast does.
    await restic.run('tag', '--add', 'b', 'latest');
    expect((await repository.copyTo(target)).copied).toHaveLength(1);
    expect((await resticCopy()).match(/skipping source snapshot/g)).toHaveLength(2);
  },
);

test('repositories with the same polynomial store shared data once', async () => {
  const source = join(folder, 'source');
  makeTree(source, 20_000_000);
  await using repository = await initTestRepository(from);
  await saveDirectory(repository, source);
  await using target = await initRepository(
    { location: to, password: async () => Buffer.from(resticPassword) },
    { polynomial: repository.polynomial },
  );
  await saveDirectory(target, source);
  const config = JSON.parse(await resticCommand(to).run('cat', 'config')) as { chunker_polynomial: string };
  expect(config.chunker_polynomial).toBe(repository.polynomial.toString(16));
  const before = bytesOf(to);
  await repository.copyTo(target);
  expect(bytesOf(to) - before).toBeLessThan(before * 0.02);
  await expectWhole(to);
});

function bytesOf(location: string): number {
  const names = readdirSync(location, { recursive: true, encoding: 'utf8' });
  return names.reduce((sum, name) => sum + statSync(join(location, name)).size, 0);
}

/** Number of kills. */
const kills = times({ all: 40, daily: 6 });

test(`a copy killed at ${kills} moments leaves an intact target, and continues until everything is copied`, async () => {
  const holdfast = holdfastCommand(join(folder, 'state'));
  await holdfast.run('init', '--repo', from);
  const root = await holdfast.createVolume('data');
  for (let round = 0; round < 4; round++) {
    makeTree(root, 30_000_000);
    await holdfast.run('backup', 'data');
  }
  const key = join(folder, 'other-key');
  writeFileSync(key, resticPassword);
  await using target = await initTestRepository(to);
  const args = ['copy', '--to-repo', to, '--to-password-file', key];
  const rehearsal = join(folder, 'rehearsal');
  await using unused = await initTestRepository(rehearsal);
  const started = performance.now();
  await holdfast.run('copy', '--to-repo', rehearsal, '--to-password-file', key);
  let fullMs = performance.now() - started;
  expect((await unused.listSnapshots()).length).toBe(4);

  let killed = 0;
  let isFromTheStart = true;
  for (let round = 0; round < kills || (killed <= kills / 4 && round < 4 * kills); round++) {
    const began = performance.now();
    if (await killedAfter(args, randomInt(Math.ceil(fullMs)))) killed++;
    // The duration depends on the machine's load.
    else if (isFromTheStart) fullMs = Math.min(fullMs, performance.now() - began);
    // Locks of dead processes do not block.
    await resticCommand(to).run('unlock');
    expect(await resticCommand(to).run('check')).toContain('no errors were found');
    await restoreAll(target);
    // A kill late in the copy leaves it done: the next round starts over.
    isFromTheStart = (await target.listSnapshots()).length === 4;
    if (isFromTheStart) await empty(target);
  }
  expect(killed).toBeGreaterThan(kills / 4);
  await holdfast.run(...args);
  await expectWhole(to);
  expect(await target.listSnapshots()).toHaveLength(4);
  await restoreAll(target);
}, 600_000);

async function killedAfter(args: readonly string[], ms: number): Promise<boolean> {
  const child = spawn(command, args, {
    env: { ...process.env, HOLDFAST_STATE_DIR: join(folder, 'state'), HOLDFAST_HOST: 'embedded' },
    stdio: 'ignore',
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_, signal) => resolve(signal));
  });
  await Promise.race([sleep(ms), ended]);
  child.kill('SIGKILL');
  return (await ended) === 'SIGKILL';
}

/** Every recorded snapshot is complete, at every moment. */
async function restoreAll(target: Repository): Promise<void> {
  for (const snapshot of await target.listSnapshots()) {
    const out = join(folder, `out-${snapshot.id}`);
    const { files } = await target.restore({ snapshot, path: '', target: out });
    expect(files).toBe(301);
    rmSync(out, { recursive: true });
  }
}

async function empty(target: Repository): Promise<void> {
  for (const { id } of await target.listSnapshots()) await target.removeSnapshot(id);
  await resticCommand(to).run('prune', '--max-unused', '0');
}
