import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { dice, seed, times } from '../faults/seeded.ts';

const kills = times({ all: 60, daily: 5 });

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

const restoring = ['restore', 'falls', '--yes', '--no-safety-snapshot'];

function environment(): Record<string, string> {
  return { HOLDFAST_HOST: 'auto', DOCKER_HOST: engine.dockerHost };
}

async function run(...args: string[]): Promise<CliResult> {
  const result = await cli.attempt(args, { env: environment() });
  if (result.exit !== 0)
    throw new Error(`"holdfast ${args.join(' ')}" ended with ${result.exit}: ${result.stderr}`);
  return result;
}

async function states(): Promise<string> {
  return await engine.docker(['inspect', '-f', '{{.Name}} {{.State.Status}}', 'falls', 'guest']);
}

/** Somebody starts a container as soon as the restored data is in place; it is stopped when that data goes again. */
async function restoreWithGuest(
  root: string,
  killAfterMs: number,
): Promise<{ readonly isKilled: boolean; readonly journals: number }> {
  const child = spawn(join(import.meta.dirname, '../../bin/holdfast'), restoring, {
    env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, ...environment() },
    stdio: 'ignore',
  });
  const ended = new Promise<boolean>((resolve) => {
    child.on('exit', (_, signal) => resolve(signal === 'SIGKILL'));
  });
  while (child.exitCode === null && versionIn(root) !== 'bad') await sleep(2);
  await engine.docker(['start', 'guest']);
  // From its second journal on, it is about to stop the guest, has it stopped, or starts it again.
  const written = (): number => list('journal-apps').filter((name) => name.endsWith('.json')).length;
  while (child.exitCode === null && written() < 2) await sleep(2);
  await Promise.race([sleep(killAfterMs), ended]);
  child.kill('SIGKILL');
  return { isKilled: await ended, journals: written() };
}

function versionIn(root: string): string {
  try {
    return readFileSync(join(root, 'version'), 'utf8');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  return readdirSync(join(cli.stateDir, folder));
}

test(
  `what others start during a restore that goes back runs again after it was killed at ${kills} moments`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill going back');
    await engine.docker(['volume', 'create', 'falls']);
    const root = engine.volumePath('falls');
    writeFileSync(join(root, 'version'), 'bad');
    await run('backup', 'falls');
    writeFileSync(join(root, 'version'), 'good');
    const mount = ['-v', 'falls:/data'];
    const falling =
      'trap "exit 0" TERM; if grep -q bad /data/version; then sleep 0.5; exit 3; fi; while :; do sleep 0.1; done';
    await engine.docker(['run', '-d', '--name', 'falls', ...mount, 'busybox', 'sh', '-c', falling]);
    const slow = 'trap "sleep 0.3; exit 0" TERM; while :; do sleep 0.05; done';
    await engine.docker(['create', '--name', 'guest', ...mount, 'busybox', 'sh', '-c', slow]);
    const seen = { killed: 0, journals: 0 };
    for (let round = 1; round <= kills; round++) {
      const afterMs = random.between(0, 600);
      const where = `seed ${seed}, kill ${round}, ${afterMs} ms after the second journal`;
      const { isKilled, journals } = await restoreWithGuest(root, afterMs);
      if (isKilled) seen.killed++;
      if (journals > 1) seen.journals++;
      await run('recover');
      expect(await states(), where).toBe('/falls running\n/guest running');
      expect(versionIn(root), where).toBe('good');
      expect([...list('journal'), ...list('journal-apps')], where).toEqual([]);
      await engine.docker(['stop', 'guest']);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} were killed before their end, ${seen.journals} with a second journal`,
    );
    expect(seen.journals).toBeGreaterThan(kills / 4);
  },
);
