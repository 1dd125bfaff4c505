import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { CliResult } from '../cli/cli.ts';
import { dice, moments, seed, times } from '../faults/seeded.ts';
import { onEngine } from '../support/on-engine.ts';
import { treeFacts } from '../support/tree-facts.ts';

const kills = times({ all: 60, daily: 6 });

const on = onEngine();

const run = (...args: string[]): Promise<CliResult> => on.run(args);

/** Kills the command with all its threads after some time; returns its duration if it had ended itself. */
async function kill(args: readonly string[], afterMs: number): Promise<number | undefined> {
  const startedMs = performance.now();
  const started = on.start(args);
  await Promise.race([sleep(afterMs), started.ended]);
  const tookMs = performance.now() - startedMs;
  return (await started.kill()) ? undefined : tookMs;
}

const names = ['kill-db', 'kill-web', 'kill-joined', 'kill-idle'];
const volumes = ['kill_db', 'kill_files'];

/** Two volumes with running and stopped containers, and one in the network of another. */
async function makeStack(): Promise<void> {
  for (const volume of volumes)
    await on.engine.docker(['volume', 'create', '--label', 'com.docker.compose.project=kill', volume]);
  const mounts = volumes.flatMap((volume) => ['-v', `${volume}:/${volume}`]);
  const script = 'trap "exit 0" TERM; while :; do sleep 0.1; done';
  for (const name of names) {
    const joined = ['--network', 'container:kill-db'];
    const own = name === 'kill-joined' ? joined : name === 'kill-db' ? mounts.slice(0, 2) : mounts;
    await on.engine.docker(['create', '--name', name, ...own, 'busybox', 'sh', '-c', script]);
    if (name !== 'kill-idle') await on.engine.docker(['start', name]);
  }
}

function fill(version: string): void {
  for (const volume of volumes) {
    const folder = join(on.engine.volumePath(volume), 'files');
    mkdirSync(folder, { recursive: true });
    for (let i = 0; i < 300; i++)
      writeFileSync(join(folder, `f${i}`), `${version} ${volume} ${i}`.repeat(40));
    writeFileSync(join(on.engine.volumePath(volume), 'version'), version);
  }
}

function facts(): string {
  return JSON.stringify(volumes.map((volume) => treeFacts(on.engine.volumePath(volume))));
}

async function states(): Promise<string> {
  const seen = await on.engine.docker(['inspect', '-f', '{{.Name}} {{.State.Status}}', ...names]);
  const networks = await Promise.all(
    ['kill-db', 'kill-joined'].map((name) => on.engine.docker(['exec', name, 'readlink', '/proc/1/ns/net'])),
  );
  return `${seen}\n${new Set(networks).size} network`;
}

/** What must not be left: journals, and stages without an undo. */
function leftovers(): string[] {
  const kept = on.list('undo').map((name) => `.holdfast-restore-${name.slice(0, 16)}`);
  const beside = volumes.flatMap((volume) => readdirSync(join(on.engine.volumePath(volume), '..')));
  const strays = beside.filter((name) => name.startsWith('.holdfast') && !kept.includes(name));
  return [...on.list('journal'), ...on.list('journal-apps'), ...strays];
}

const nextCommands = [
  ['recover'],
  ['volume', 'ls'],
  ['restore', '--stack', 'kill', '--dry-run'],
  ['undo', '--list'],
];

test(
  `a restore and an undo of a stack, killed at ${kills} moments, leave it old or new as a whole, and running as before`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill restore running');
    await makeStack();
    fill('old');
    await run('backup', '--stack', 'kill', '--consistency', 'stop');
    const old = facts();
    const [id = ''] = (await run('snapshots', 'kill_db', '-q')).stdout.split('\n');
    const ran = await states();
    // Data to go back and forth to: the first restore replaces this.
    fill('new');
    const fresh = facts();
    const restoring = ['restore', '--stack', `kill@${id.slice(0, 12)}`, '--yes', '--no-safety-snapshot'];
    const startedMs = performance.now();
    await run(...restoring);
    const restoreMs = performance.now() - startedMs;
    const fullMs = { restore: restoreMs, undo: restoreMs };
    expect(facts()).toBe(old);
    const seen = { killed: 0, swapped: 0 };
    for (const [round, moment] of moments(kills, random).entries()) {
      const before = facts();
      expect([old, fresh]).toContain(before);
      const isUndo = before === old;
      const args = isUndo ? ['undo', '--yes'] : restoring;
      const work = isUndo ? 'undo' : 'restore';
      const afterMs = (0.1 + moment * 0.9) * fullMs[work];
      const where = `seed ${seed}, kill ${round + 1} of ${work}, after ${Math.round(afterMs)} of ${Math.round(fullMs[work])} ms`;
      const tookMs = await kill(args, afterMs);
      if (tookMs === undefined) seen.killed++;
      // It depends on the load of the machine.
      else fullMs[work] = Math.min(fullMs[work], tookMs);
      const next = random.pick(nextCommands);
      await run(...next);
      const now = facts();
      if (now !== before) seen.swapped++;
      expect([old, fresh].includes(now), `${where}, then ${next.join(' ')}: mixed`).toBe(true);
      expect(await states(), `${where}, then ${next.join(' ')}`).toBe(ran);
      expect(leftovers(), where).toEqual([]);
      const version = now === old ? 'old' : 'new';
      for (const volume of volumes)
        expect(await on.engine.docker(['exec', 'kill-web', 'cat', `/${volume}/version`]), where).toBe(
          version,
        );
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} were killed before their end; ${seen.swapped} were swapped`,
    );
    expect(seen.killed).toBeGreaterThan(kills / 4);
  },
);

test(
  `a restore whose data makes a container exit, killed at ${kills} moments, leaves it running on the old or the new data`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill restore that fails');
    await on.engine.docker(['volume', 'create', 'falls']);
    const root = on.engine.volumePath('falls');
    writeFileSync(join(root, 'version'), 'bad');
    await run('backup', 'falls');
    writeFileSync(join(root, 'version'), 'good');
    const good = treeFacts(root);
    const script =
      'trap "exit 0" TERM; if grep -q bad /data/version; then sleep 0.5; exit 3; fi; while :; do sleep 0.1; done';
    const mount = ['-v', 'falls:/data'];
    await on.engine.docker(['run', '-d', '--name', 'falls', ...mount, 'busybox', 'sh', '-c', script]);
    const restoring = ['restore', 'falls', '--yes', '--no-safety-snapshot'];
    const startedMs = performance.now();
    const failed = await on.attempt(restoring);
    let fullMs = performance.now() - startedMs;
    expect(failed.stderr).toContain('did not come up');
    expect(treeFacts(root)).toEqual(good);
    const seen = { killed: 0, back: 0 };
    for (const [round, moment] of moments(kills, random).entries()) {
      const afterMs = (0.1 + moment * 0.9) * fullMs;
      const where = `seed ${seed}, kill ${round + 1}, after ${Math.round(afterMs)} of ${Math.round(fullMs)} ms`;
      const tookMs = await kill(restoring, afterMs);
      if (tookMs === undefined) seen.killed++;
      else fullMs = Math.min(fullMs, tookMs);
      await run('recover');
      const isBack = JSON.stringify(treeFacts(root)) === JSON.stringify(good);
      if (isBack) seen.back++;
      else {
        // Nothing detects the failing container any more: an undo brings back the old data, and it starts again.
        expect(readdirSync(root), where).toEqual(['version']);
        await run('undo', 'falls', '--yes');
        await on.engine.docker(['start', 'falls']);
      }
      expect(treeFacts(root), where).toEqual(good);
      const status = await on.engine.docker(['inspect', '-f', '{{.State.Status}}', 'falls']);
      expect(status, where).toBe('running');
      expect([...on.list('journal'), ...on.list('journal-apps')], where).toEqual([]);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} were killed before their end; ${seen.back} were as before`,
    );
    expect(seen.killed).toBeGreaterThan(kills / 4);
  },
);
