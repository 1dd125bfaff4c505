import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { type BackupJson, FaultWorld } from '../faults/fault-world.ts';
import { dice } from '../faults/seeded.ts';
import { killWithGuardians } from '../support/guardians.ts';

let engine: PrivateEngine;
let world: FaultWorld;
let env: Record<string, string>;

beforeAll(async () => {
  engine = await startPrivateEngine();
  await engine.importBusybox();
  world = new FaultWorld();
  await world.init();
  env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
});
afterAll(async () => {
  world?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

function journals(): string[] {
  try {
    return readdirSync(join(world.stateDir, 'journal-apps'));
  } catch {
    return [];
  }
}

async function states(): Promise<string[]> {
  const lines = await engine.docker(['ps', '-a', '--format', '{{.Names}} {{.State}}']);
  return lines.split('\n').toSorted();
}

async function startWriter(name: string, volume: string): Promise<void> {
  const counting = 'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i > /a/now; sleep 0.02; done';
  const args = ['run', '-d', '--name', name, '-v', `${volume}:/a`, 'busybox', 'sh', '-c', counting];
  await engine.docker(args);
  const large = dice(name).bytes(400_000_000);
  writeFileSync(join(engine.volumePath(volume), 'large'), large);
}

async function untilStill(): Promise<void> {
  while (journals().every((name) => !name.endsWith('.touched'))) await sleep(5);
  await sleep(100);
}

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'an engine that ends by %s while containers are paused has them back when it answers again',
  async (signal) => {
    const name = `db-${signal.toLowerCase()}`;
    await startWriter(name, name);
    const { ended } = world.start(['backup', name, '--consistency', 'pause', '--format', 'json'], { env });
    await untilStill();
    await engine.restart(signal);
    const { exit, stdout, stderr } = await ended;
    expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
    expect(await states()).toContain(`${name} running`);
    expect(journals()).toEqual([]);
    // Read whole, but not at one moment: the engine let the container run when it ended it.
    if (exit === 0) {
      const { outcomes } = JSON.parse(stdout) as {
        outcomes: (BackupJson['outcomes'][number] & { grade: string })[];
      };
      expect(outcomes[0]?.grade).toBe('torn');
    }
    await engine.docker(['rm', '-f', name]);
  },
);

test('what a killed backup and a reboot left is recovered by the next command', async () => {
  await startWriter('db', 'rebooted');
  const { child, ended } = world.start(['backup', 'rebooted', '--consistency', 'pause'], { env });
  await untilStill();
  killWithGuardians(child, world.stateDir);
  await ended;
  expect(await states()).toEqual(['db paused']);
  await engine.restart('SIGKILL');
  expect(await states()).toEqual(['db exited']);
  const { exit, stdout } = await world.attempt(['recover'], { env });
  expect(exit).toBe(0);
  expect(stdout).toContain('brought back: "db"');
  expect(await states()).toEqual(['db running']);
  expect((await world.attempt(['recover'], { env })).stdout).toBe('There is nothing to bring back.\n');
  await engine.docker(['rm', '-f', 'db']);
});

test('what people have stopped or recreated since stays as it is', async () => {
  await startWriter('looked-after', 'looked-after');
  await engine.docker(['run', '-d', '--name', 'fresh', '-v', 'looked-after:/a', 'busybox', 'sleep', '1000']);
  await sleep(1500);
  const { child, ended } = world.start(['backup', 'looked-after', '--consistency', 'pause'], { env });
  await expect.poll(states).toEqual(['fresh paused', 'looked-after paused']);
  killWithGuardians(child, world.stateDir);
  await ended;
  await engine.docker(['stop', '-t', '5', 'looked-after']);
  await engine.docker(['rm', '-f', 'fresh']);
  await engine.docker(['create', '--name', 'fresh', '-v', 'looked-after:/a', 'busybox', 'sleep', '1000']);
  const { exit, stdout } = await world.attempt(['recover'], { env });
  expect(exit).toBe(0);
  expect(stdout).toContain('made anew, started or stopped since, and left: "fresh", "looked-after"');
  expect(await states()).toEqual(['fresh created', 'looked-after exited']);
  expect(journals()).toEqual([]);
  await engine.docker(['rm', '-f', 'fresh', 'looked-after']);
});

test('while the engine does not answer nothing is lost: recover says so, and does it later', async () => {
  await startWriter('db', 'waiting');
  const { child, ended } = world.start(['backup', 'waiting', '--consistency', 'pause'], { env });
  await untilStill();
  killWithGuardians(child, world.stateDir);
  await ended;
  await engine.kill();
  const refused = await world.attempt(['recover'], { env });
  expect(refused.exit).toBe(1);
  expect(journals()).not.toEqual([]);
  await engine.restart();
  expect((await world.attempt(['volume', 'ls'], { env })).stderr).toContain('"db" brought back');
  expect(await states()).toEqual(['db running']);
});
