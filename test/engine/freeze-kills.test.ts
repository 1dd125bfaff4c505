import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { FaultWorld } from '../faults/fault-world.ts';
import { dice, seed, times } from '../faults/seeded.ts';
import { type FrozenWorld, frozenState, guardiansOf, openFrozenWorld } from './frozen-world.fixture.ts';

const kills = times({ all: 200, daily: 8 });
/** The guardian thaws as soon as the pipe to the killed process is closed. */
const thawedWithinMs = 15_000;

let engine: PrivateEngine;
let world: FaultWorld;
let frozen: FrozenWorld;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasUnifiedGroups: true });
  await engine.importBusybox();
  world = new FaultWorld();
  await world.init();
  frozen = await openFrozenWorld(engine);
});
afterAll(async () => {
  await frozen?.[Symbol.asyncDispose]();
  world?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

const counting = 'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i > /a/now; sleep 0.02; done';

test(
  `after a backup that is killed at ${kills} moments while it has containers frozen, they run again on their own`,
  { retry: 0, timeout: 60 * 60_000 },
  async () => {
    const random = dice('kill freeze');
    const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
    const groups: string[] = [];
    for (const name of ['db', 'web']) {
      const command = ['busybox', 'sh', '-c', counting];
      await engine.docker(['run', '-d', '--name', name, '-v', 'shop:/a', ...command]);
      groups.push(await frozen.groupOf(name));
    }
    // Many names to look at while all are still.
    for (let i = 0; i < 4000; i++) writeFileSync(join(engine.volumePath('shop'), `file-${i}`), String(i));
    expect((await world.attempt(['backup', 'shop'], { env })).exit).toBe(0);

    const seen = { frozen: 0, slowestMs: 0 };
    for (let round = 1; round <= kills; round++) {
      const where = `seed ${seed}, kill ${round}`;
      const { child, ended } = world.start(['backup', 'shop'], { env });
      while (child.exitCode === null && !isAnyFrozen(groups)) await sleep(1);
      await Promise.race([sleep(random.between(0, 40)), ended]);
      child.kill('SIGKILL');
      if (groups.some((group) => frozenState(group) === '1')) seen.frozen++;
      await ended;
      const killedAt = performance.now();
      while (isAnyFrozen(groups)) {
        expect(performance.now() - killedAt, where).toBeLessThan(thawedWithinMs);
        await sleep(1);
      }
      seen.slowestMs = Math.max(seen.slowestMs, performance.now() - killedAt);
      const next = await world.attempt(round % 2 === 0 ? ['recover'] : ['volume', 'ls'], { env });
      expect(next.exit, `${where}: ${next.stderr}`).toBe(0);
      expect(journals(), `${where}: ${next.stderr}`).toEqual([]);
      expect(isAnyFrozen(groups), where).toBe(false);
      expect(await engine.docker(['ps', '--format', '{{.State}}']), where).toBe('running\nrunning');
    }
    console.log(
      `seed ${seed}: ${seen.frozen} of ${kills} kills found containers frozen; the slowest ran again after ${Math.round(seen.slowestMs)} ms`,
    );
    expect(seen.frozen).toBeGreaterThan(kills / 4);
    await expect.poll(() => guardiansOf(engine.cgroup)).toEqual([]);
    expect((await world.attempt(['backup', 'shop'], { env })).exit).toBe(0);
    expect((await world.attempt(['check', '--read-data'], { env })).exit).toBe(0);
  },
);

function isAnyFrozen(groups: readonly string[]): boolean {
  return groups.some((group) => frozenState(group) === '1');
}

function journals(): string[] {
  try {
    return readdirSync(join(world.stateDir, 'journal-apps'));
  } catch {
    return [];
  }
}
