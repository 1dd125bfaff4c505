import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { treeFacts } from '../support/tree-facts.ts';
import { type BackupJson, type Ended, FaultWorld } from './fault-world.ts';
import { waitForPack } from './wait-for-pack.ts';
import { changeData, makeData } from './living-data.ts';
import { dice, moments, seed, times } from './seeded.ts';

const each = times({ all: 20, daily: 3 });
const shape = { folders: 10, filesInEach: 50, largeBytes: 80_000_000 };
const signals = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof signals;

let world: FaultWorld;
beforeAll(async () => {
  world = new FaultWorld();
  await world.init();
});
afterAll(() => world[Symbol.dispose]());

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends a backup at once, with a message, without a lock, and the next one goes on from there',
  async (signal) => {
    const root = await world.volume(`goes-on-${signal}`);
    makeData(root, shape, dice(signal));
    const { child, ended } = world.start(['backup', `goes-on-${signal}`]);
    await waitForPack(world.repository);
    const sent = performance.now();
    child.kill(signal);
    const { exit, stderr, stdout } = await ended;
    expect(exit, stderr + stdout).toBe(signals[signal]);
    expect(performance.now() - sent).toBeLessThan(30_000);
    expect(stderr).toContain('holdfast: Cancelled');
    expect(stderr).toContain('the next backup goes on from there');
    await nothingHeld();
    const report = await world.json<BackupJson>('backup', `goes-on-${signal}`);
    const { summary } = report.outcomes[0] ?? {};
    // At least the pack that was stored when the command was ended.
    expect(summary?.bytesStored).toBeLessThan(shape.largeBytes - 8_000_000);
    expect(await world.judge('check')).toContain('no errors were found');
  },
);

test(
  `signals at ${each} moments of a backup, a restore and a check leave everything whole`,
  async () => {
    const random = dice('signals');
    const root = await world.volume('data');
    makeData(root, { ...shape, largeBytes: 30_000_000 }, random);
    const older = treeFacts(root);
    let backupMs = (await world.attempt(['backup', 'data'])).ms;
    const [id = ''] = await world.ids('data');
    const seen: Record<string, number> = {};
    for (const moment of moments(each, random)) {
      changeData(root, 10_000_000, random);
      const signal = random.pick<Signal>(['SIGINT', 'SIGTERM']);
      const where = `seed ${seed}, ${signal} at ${moment.toFixed(3)}`;
      const backup = await signalled(['backup', 'data'], { signal, afterMs: moment * backupMs });
      expectEnd(backup, signal, where);
      await nothingHeld();
      expect(await world.judge('check'), where).toContain('no errors were found');
      const newer = treeFacts(root);
      const again = await world.attempt(['backup', 'data']);
      expect(again.exit, `${where}: ${again.stderr}`).toBe(0);
      backupMs = again.ms;

      const restoring = ['restore', `data@${id}`, '--yes', '--no-safety-snapshot', '--no-keep'];
      const restore = await signalled(restoring, { signal, afterMs: moment * 1500 });
      expectEnd(restore, signal, where);
      await nothingHeld();
      const facts = treeFacts(root);
      if (restore.exit === 0) expect(facts, where).toEqual(older);
      else if (facts.join() !== older.join()) expect(facts, where).toEqual(newer);
      expect(readdirSync(join(root, '..')), where).toEqual(['_data']);
      const check = await signalled(['check', '--read-data'], { signal, afterMs: moment * 1200 });
      expectEnd(check, signal, `${where}, check`);
      await nothingHeld();
      for (const { exit } of [backup, restore, check]) seen[exit] = (seen[exit] ?? 0) + 1;
    }
    console.log(`seed ${seed}: exit numbers ${JSON.stringify(seen)}`);
  },
  15 * 60_000,
);

test('SIGTERM ends an import and a clone, and leaves no half-filled volume', async () => {
  const random = dice('signals import');
  const root = await world.volume('source');
  makeData(root, { ...shape, largeBytes: 120_000_000 }, random);
  await world.run('volume', 'export', 'source', '--output', 'source.tar');
  for (const args of [
    ['volume', 'clone', 'source', 'copy'],
    ['volume', 'import', 'copy', '--input', 'source.tar'],
  ]) {
    const { child, ended } = world.start(args);
    const copy = world.root('copy');
    for (let tries = 0; tries < 15_000 && !hasStage(copy); tries++) await sleep(2);
    child.kill('SIGTERM');
    const { exit, stderr } = await ended;
    expect(exit, `${args.join(' ')}: ${stderr}`).toBe(143);
    const names = (await world.run('volume', 'ls', '--quiet')).split('\n');
    expect(names, args.join(' ')).not.toContain('copy');
  }
});

function hasStage(root: string): boolean {
  try {
    return readdirSync(root).length > 0;
  } catch {
    return false;
  }
}

async function signalled(
  args: readonly string[],
  { signal, afterMs }: { signal: Signal; afterMs: number },
): Promise<Ended & { readonly afterSignalMs: number }> {
  const { child, ended } = world.start(args);
  await Promise.race([sleep(afterMs), ended]);
  const sent = performance.now();
  child.kill(signal);
  return { ...(await ended), afterSignalMs: performance.now() - sent };
}

function expectEnd(ended: Ended & { readonly afterSignalMs: number }, signal: Signal, where: string): void {
  expect([0, signals[signal]], `${where}: ${ended.stderr}`).toContain(ended.exit);
  expect(ended.afterSignalMs, where).toBeLessThan(30_000);
  expect(ended.stderr, where).not.toMatch(/^\s+at /m);
}

async function nothingHeld(): Promise<void> {
  expect((await world.restic('list', 'locks')).stdout).toBe('');
}
