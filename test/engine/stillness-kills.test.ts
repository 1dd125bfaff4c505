import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { FaultWorld } from '../faults/fault-world.ts';
import { dice, moments, seed, times } from '../faults/seeded.ts';
import { guardiansOf, killWithGuardians } from '../support/guardians.ts';

const kills = times({ all: 200, daily: 16 });

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

const project = 'com.docker.compose.project=shop';
const counting = 'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i > /a/now; sleep 0.02; done';

async function startService(service: string, volume: string, dependsOn = ''): Promise<void> {
  const labels = [
    project,
    `com.docker.compose.service=${service}`,
    'com.docker.compose.container-number=1',
    `com.docker.compose.depends_on=${dependsOn}`,
  ].flatMap((label) => ['--label', label]);
  const name = `shop-${service}-1`;
  await engine.docker([
    'run',
    '-d',
    '--name',
    name,
    ...labels,
    '-v',
    `${volume}:/a`,
    'busybox',
    'sh',
    '-c',
    counting,
  ]);
}

async function states(): Promise<string[]> {
  const lines = await engine.docker(['ps', '-a', '--format', '{{.Names}} {{.State}}']);
  return lines.split('\n').toSorted();
}

async function runSoon(args: readonly string[], where: string): Promise<string> {
  const { exit, stdout, stderr } = await world.attempt(args, { env });
  expect(exit, `${where}: ${stderr}`).toBe(0);
  return stdout;
}

test(
  `after a backup that is killed at ${kills} moments, exactly what ran before runs again`,
  { retry: 0, timeout: 90 * 60_000 },
  async () => {
    const random = dice('kill stillness');
    for (const name of ['shop_a', 'shop_b'])
      await engine.docker(['volume', 'create', '--label', project, name]);
    await startService('db', 'shop_a');
    await startService('web', 'shop_b', 'db:service_started:false');
    await startService('old', 'shop_a');
    await engine.docker(['stop', 'shop-old-1']);
    await startService('frozen', 'shop_b');
    await engine.docker(['pause', 'shop-frozen-1']);
    for (const name of ['shop_a', 'shop_b'])
      writeFileSync(join(engine.volumePath(name), 'large'), random.bytes(30_000_000));
    const before = await states();
    expect(before).toEqual([
      'shop-db-1 running',
      'shop-frozen-1 paused',
      'shop-old-1 exited',
      'shop-web-1 running',
    ]);

    const seen = { killed: 0, journals: 0 };
    const fullMs: Record<string, number> = {};
    for (const way of ['two-pass', 'pause', 'stop']) {
      const { ms, exit, stderr } = await world.attempt(['backup', '--stack', 'shop', '--consistency', way], {
        env,
      });
      expect(exit, stderr).toBe(0);
      fullMs[way] = ms;
    }
    for (const [round, moment] of moments(kills, random).entries()) {
      const way = ['stop', 'two-pass', 'stop', 'pause'][round % 4] ?? 'stop';
      const afterMs = moment * (fullMs[way] ?? 1000);
      const where = `seed ${seed}, kill ${round + 1}, ${way} after ${Math.round(afterMs)} ms`;
      const args = ['backup', '--stack', 'shop', '--consistency', way];
      const exit =
        round % 3 === 0 ? await killAt(args, afterMs) : await killWhenStill(args, random.between(0, 200));
      if (exit === 137) seen.killed++;
      if (journals().length > 0) seen.journals++;
      const next = round % 2 === 0 ? ['recover'] : ['volume', 'ls'];
      await runSoon(next, where);
      expect(await states(), where).toEqual(before);
      // A stop that the engine was still working on would come now.
      await sleep(150);
      expect(await states(), where).toEqual(before);
      expect(journals(), where).toEqual([]);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} backups were killed before their end, ${seen.journals} left a journal`,
    );
    expect(seen.journals).toBeGreaterThan(kills / 4);
    await runSoon(['backup', '--stack', 'shop'], 'at the end');
    await runSoon(['check', '--read-data'], 'at the end');
    expect(await states()).toEqual(before);
    expect(readdirSync(engine.volumePath('shop_a')).toSorted()).toEqual(['large', 'now']);
  },
);

describe('a backup that is killed while the engine keeps its containers still', () => {
  const volume = 'watched';
  const running = ['asleep paused', 'watched running'];
  // What it writes when it is told to end has to be read while it is stopped: long enough to be killed then.
  const writingLast = counting.replace('exit 0', 'cp /a/large /a/last; exit 0');

  beforeAll(async () => {
    for (const name of (await engine.docker(['ps', '-aq'])).split('\n').filter(Boolean))
      await engine.docker(['rm', '-f', name]);
    for (const name of running.map((line) => line.split(' ')[0] ?? ''))
      await engine.docker([
        'run',
        '-d',
        '--name',
        name,
        '-v',
        `${volume}:/a`,
        'busybox',
        'sh',
        '-c',
        writingLast,
      ]);
    await engine.docker(['pause', 'asleep']);
    writeFileSync(join(engine.volumePath(volume), 'large'), dice('watched').bytes(300_000_000));
  });

  async function untilStill(way: 'pause' | 'stop'): Promise<Awaited<ReturnType<typeof world.start>>> {
    // One that failed leaves it paused to the next.
    if (!(await states()).includes('watched running')) await engine.docker(['unpause', 'watched']);
    const started = world.start(['backup', volume, '--consistency', way], { env });
    const still = way === 'pause' ? 'watched paused' : 'watched exited';
    await expect.poll(states, { interval: 5 }).toContain(still);
    return started;
  }

  test.each(['pause', 'stop'] as const)(
    'has them run again by itself after a %s, and leaves alone what its user has paused, then and later',
    { timeout: 180_000 },
    async (way) => {
      const { child, ended } = await untilStill(way);
      child.kill('SIGKILL');
      expect((await ended).exit).toBe(137);
      await expect.poll(states, { interval: 50 }).toEqual(running);
      await expect.poll(() => guardiansOf(world.stateDir)).toEqual([]);
      // What its user does since is not undone by the next command, which tells of the job once.
      await engine.docker(['pause', 'watched']);
      const told = await world.attempt(['volume', 'ls'], { env });
      expect(told.stderr).toMatch(
        /A job that was to back up "watched" was interrupted .*: "watched" brought back/,
      );
      expect(await states()).toEqual(['asleep paused', 'watched paused']);
      await engine.docker(['unpause', 'watched']);
      expect((await world.attempt(['volume', 'ls'], { env })).stderr).not.toContain('interrupted');
      expect(journals()).toEqual([]);
    },
  );

  test('with all of its processes has them back by the next command', { timeout: 180_000 }, async () => {
    const { child, ended } = await untilStill('pause');
    expect(guardiansOf(world.stateDir)).toHaveLength(1);
    killWithGuardians(child, world.stateDir);
    await ended;
    await sleep(1000);
    expect(await states()).toEqual(['asleep paused', 'watched paused']);
    expect((await world.attempt(['recover'], { env })).stdout).toContain('brought back: "watched"');
    expect(await states()).toEqual(running);
  });

  test('is told to end by a signal that reaches its guardian too, and brings them back itself', async () => {
    const { child, ended } = await untilStill('pause');
    for (const pid of guardiansOf(world.stateDir)) process.kill(pid, 'SIGTERM');
    await sleep(200);
    expect(guardiansOf(world.stateDir)).toHaveLength(1);
    child.kill('SIGTERM');
    expect((await ended).exit).toBe(143);
    expect(await states()).toEqual(running);
    expect(guardiansOf(world.stateDir)).toEqual([]);
    expect(journals()).toEqual([]);
  });
});

async function killAt(args: readonly string[], afterMs: number): Promise<number> {
  return (await world.killed(args, afterMs, { env })).exit;
}

/** Kills it that long after it has recorded what runs: most of that time the containers are still. */
async function killWhenStill(args: readonly string[], afterMs: number): Promise<number> {
  const { child, ended } = world.start(args, { env });
  while (child.exitCode === null && journals().every((name) => !name.endsWith('.json'))) await sleep(2);
  await Promise.race([sleep(afterMs), ended]);
  child.kill('SIGKILL');
  return (await ended).exit;
}

function journals(): string[] {
  try {
    return readdirSync(join(world.stateDir, 'journal-apps'));
  } catch {
    return [];
  }
}
