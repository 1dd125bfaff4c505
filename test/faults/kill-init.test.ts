import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultWorld } from './fault-world.ts';
import { dice, moments, seed, times } from './seeded.ts';

const kills = times({ all: 40, daily: 5 });

let world: FaultWorld;
beforeAll(() => {
  world = new FaultWorld();
});
afterAll(() => world[Symbol.dispose]());

test(`an init that is killed at ${kills} moments can simply be run again`, async () => {
  const full = await world.attempt(['init', '--repo', world.repository]);
  expect(full.exit, full.stderr).toBe(0);
  for (const moment of moments(kills, dice('kill init'))) {
    rmSync(world.repository, { recursive: true, force: true });
    rmSync(world.stateDir, { recursive: true, force: true });
    const where = `seed ${seed}, killed after ${Math.round(moment * full.ms)} of ${Math.round(full.ms)} ms`;
    await world.killed(['init', '--repo', world.repository], moment * full.ms);
    const again = await world.attempt(['init', '--repo', world.repository]);
    expect(again.exit, `${where}: ${again.stderr}`).toBe(0);
    const checked = await world.attempt(['check']);
    expect(checked.exit, `${where}: ${checked.stderr}`).toBe(0);
    expect(await world.judge('check'), where).toContain('no errors were found');
  }
});
