import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { dice, moments, seed, times } from '../faults/seeded.ts';
import { treeFacts } from '../support/tree-facts.ts';

const kills = times({ all: 60, daily: 6 });

let engine: PrivateEngine;
let cli: Cli;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await engine.importBusybox();
  cli = new Cli();
  await cli.init();
});
afterAll(async () => {
  cli?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

function environment(): Record<string, string> {
  return { HOLDFAST_HOST: 'auto', DOCKER_HOST: engine.dockerHost };
}

async function run(...args: string[]): Promise<CliResult> {
  const result = await cli.attempt(args, { env: environment() });
  if (result.exit !== 0)
    throw new Error(`"holdfast ${args.join(' ')}" ended with ${result.exit}: ${result.stderr}`);
  return result;
}

/** Kills the command with all of its threads after some time; true when it had not ended by itself. */
async function killed(args: readonly string[], afterMs: number): Promise<boolean> {
  const child = spawn(join(import.meta.dirname, '../../bin/holdfast'), args, {
    env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, ...environment() },
    stdio: 'ignore',
    detached: true,
  });
  const ended = new Promise<boolean>((resolve) => {
    child.on('exit', (_, signal) => resolve(signal === 'SIGKILL'));
  });
  await Promise.race([sleep(afterMs), ended]);
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
  return await ended;
}

const names = ['kill-db', 'kill-web', 'kill-paused', 'kill-idle'];
const volumes = ['kill_db', 'kill_files'];

/** Two volumes, and containers that run, are paused and do not run on them. */
async function makeStack(): Promise<void> {
  for (const volume of volumes)
    await engine.docker(['volume', 'create', '--label', 'com.docker.compose.project=kill', volume]);
  const mounts = volumes.flatMap((volume) => ['-v', `${volume}:/${volume}`]);
  const script = 'trap "exit 0" TERM; while :; do sleep 0.1; done';
  for (const name of names) {
    const own = name === 'kill-db' ? mounts.slice(0, 2) : mounts;
    await engine.docker(['create', '--name', name, ...own, 'busybox', 'sh', '-c', script]);
    if (name !== 'kill-idle') await engine.docker(['start', name]);
  }
  await engine.docker(['pause', 'kill-paused']);
}

function fill(version: string): void {
  for (const volume of volumes) {
    const folder = join(engine.volumePath(volume), 'files');
    mkdirSync(folder, { recursive: true });
    for (let i = 0; i < 300; i++)
      writeFileSync(join(folder, `f${i}`), `${version} ${volume} ${i}`.repeat(40));
    writeFileSync(join(engine.volumePath(volume), 'version'), version);
  }
}

function facts(): string {
  return JSON.stringify(volumes.map((volume) => treeFacts(engine.volumePath(volume))));
}

async function states(): Promise<string> {
  return await engine.docker(['inspect', '-f', '{{.Name}} {{.State.Status}}', ...names]);
}

/** What nobody needs any more: journals, and stages that no undo stands for. */
function leftovers(): string[] {
  const list = (folder: string): string[] =>
    existsSync(join(cli.stateDir, folder)) ? readdirSync(join(cli.stateDir, folder)) : [];
  const kept = list('undo').map((name) => `.holdfast-restore-${name.slice(0, 16)}`);
  const beside = volumes.flatMap((volume) => readdirSync(join(engine.volumePath(volume), '..')));
  const strays = beside.filter((name) => name.startsWith('.holdfast') && !kept.includes(name));
  return [...list('journal'), ...list('journal-apps'), ...strays];
}

const nextCommands = [
  ['recover'],
  ['volume', 'ls'],
  ['restore', '--stack', 'kill', '--dry-run'],
  ['undo', '--list'],
];

test(
  `a restore and an undo of a stack that are killed at ${kills} moments leave it old or new as a whole, and running as it ran`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill restore running');
    await makeStack();
    fill('old');
    await run('backup', '--stack', 'kill', '--consistency', 'stop');
    const old = facts();
    const [id = ''] = (await run('snapshots', 'kill_db', '-q')).stdout.split('\n');
    const ran = await states();
    // Something to go back and forth to: the first restore replaces this.
    fill('new');
    const fresh = facts();
    const restoring = ['restore', '--stack', `kill@${id.slice(0, 12)}`, '--yes', '--no-safety-snapshot'];
    const startedMs = performance.now();
    await run(...restoring);
    const fullMs = performance.now() - startedMs;
    expect(facts()).toBe(old);
    const seen = { killed: 0, swapped: 0 };
    for (const [round, moment] of moments(kills, random).entries()) {
      const before = facts();
      expect([old, fresh]).toContain(before);
      const isUndo = before === old;
      const args = isUndo ? ['undo', '--yes'] : restoring;
      const afterMs = (0.1 + moment * 0.9) * fullMs;
      const where = `seed ${seed}, kill ${round + 1} of ${args[0]}, after ${Math.round(afterMs)} of ${Math.round(fullMs)} ms`;
      if (await killed(args, afterMs)) seen.killed++;
      const next = random.pick(nextCommands);
      await run(...next);
      const now = facts();
      if (now !== before) seen.swapped++;
      expect([old, fresh].includes(now), `${where}, then ${next.join(' ')}: mixed`).toBe(true);
      expect(await states(), `${where}, then ${next.join(' ')}`).toBe(ran);
      expect(leftovers(), where).toEqual([]);
      const version = now === old ? 'old' : 'new';
      for (const volume of volumes)
        expect(await engine.docker(['exec', 'kill-web', 'cat', `/${volume}/version`]), where).toBe(version);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} were killed before their end; ${seen.swapped} were swapped`,
    );
    expect(seen.killed).toBeGreaterThan(kills * 0.4);
  },
);

test(
  `a restore whose data makes a container fall, killed at ${kills} moments, leaves it running on one or the other`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill restore that fails');
    await engine.docker(['volume', 'create', 'falls']);
    const root = engine.volumePath('falls');
    writeFileSync(join(root, 'version'), 'bad');
    await run('backup', 'falls');
    writeFileSync(join(root, 'version'), 'good');
    const good = treeFacts(root);
    const script =
      'trap "exit 0" TERM; if grep -q bad /data/version; then sleep 0.5; exit 3; fi; while :; do sleep 0.1; done';
    const mount = ['-v', 'falls:/data'];
    await engine.docker(['run', '-d', '--name', 'falls', ...mount, 'busybox', 'sh', '-c', script]);
    const restoring = ['restore', 'falls', '--yes', '--no-safety-snapshot'];
    const startedMs = performance.now();
    const failed = await cli.attempt(restoring, { env: environment() });
    const fullMs = performance.now() - startedMs;
    expect(failed.stderr).toContain('did not come up');
    expect(treeFacts(root)).toEqual(good);
    const seen = { killed: 0, back: 0 };
    for (const [round, moment] of moments(kills, random).entries()) {
      const afterMs = (0.1 + moment * 0.9) * fullMs;
      const where = `seed ${seed}, kill ${round + 1}, after ${Math.round(afterMs)} of ${Math.round(fullMs)} ms`;
      if (await killed(restoring, afterMs)) seen.killed++;
      await run('recover');
      const isBack = JSON.stringify(treeFacts(root)) === JSON.stringify(good);
      if (isBack) seen.back++;
      else {
        // Nobody could find out any more that it falls: an undo brings the old data back, and the container after it.
        expect(readdirSync(root), where).toEqual(['version']);
        await run('undo', 'falls', '--yes');
        await engine.docker(['start', 'falls']);
      }
      expect(treeFacts(root), where).toEqual(good);
      const status = await engine.docker(['inspect', '-f', '{{.State.Status}}', 'falls']);
      expect(status, where).toBe('running');
      const list = (folder: string): string[] => readdirSync(join(cli.stateDir, folder));
      expect([...list('journal'), ...list('journal-apps')], where).toEqual([]);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} were killed before their end; ${seen.back} were as before`,
    );
    expect(seen.killed).toBeGreaterThan(kills * 0.4);
  },
);
