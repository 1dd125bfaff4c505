import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { CliResult } from '../cli/cli.ts';
import { dice, seed, times } from '../faults/seeded.ts';
import { onEngine } from '../support/on-engine.ts';

const kills = times({ all: 60, daily: 5 });

const on = onEngine();

const restoring = ['restore', 'falls', '--yes', '--no-safety-snapshot'];

const run = (...args: string[]): Promise<CliResult> => on.run(args);

async function states(): Promise<string> {
  return await on.engine.docker(['inspect', '-f', '{{.Name}} {{.State.Status}}', 'falls', 'guest']);
}

/**
 * Starts a container as soon as the restored data is in place; it is stopped when that data is taken back.
 */
async function restoreWithGuest(
  root: string,
  killAfterMs: number,
): Promise<{ readonly isKilled: boolean; readonly journals: number }> {
  const { child, ended } = on.start(restoring);
  while (child.exitCode === null && versionIn(root) !== 'bad') await sleep(2);
  await on.engine.docker(['start', 'guest']);
  // From its second journal on, it is about to stop the guest, has stopped it, or is starting it again.
  const written = (): number => on.list('journal-apps').filter((name) => name.endsWith('.json')).length;
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

test(
  `a container that others start during a restore that goes back runs again after kills at ${kills} moments`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill going back');
    await on.engine.docker(['volume', 'create', 'falls']);
    const root = on.engine.volumePath('falls');
    writeFileSync(join(root, 'version'), 'bad');
    await run('backup', 'falls');
    writeFileSync(join(root, 'version'), 'good');
    const mount = ['-v', 'falls:/data'];
    const falling =
      'trap "exit 0" TERM; if grep -q bad /data/version; then sleep 0.5; exit 3; fi; while :; do sleep 0.1; done';
    await on.engine.docker(['run', '-d', '--name', 'falls', ...mount, 'busybox', 'sh', '-c', falling]);
    const slow = 'trap "sleep 0.3; exit 0" TERM; while :; do sleep 0.05; done';
    await on.engine.docker(['create', '--name', 'guest', ...mount, 'busybox', 'sh', '-c', slow]);
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
      expect([...on.list('journal'), ...on.list('journal-apps')], where).toEqual([]);
      await on.engine.docker(['stop', 'guest']);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} were killed before their end, ${seen.journals} with a second journal`,
    );
    expect(seen.journals).toBeGreaterThan(kills / 4);
  },
);
