import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startFaultyStore } from '../../../test/faults/faulty-store.ts';
import { saveTogether } from '../../../test/support/save-together.ts';
import { initRepository } from '../index.ts';
import { testVolume } from '../../../test/fixtures/open-repository.ts';
import { watchStore } from './watch-store.ts';

test('uploads to a slow store have arrived before anything is made still', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'far-'));
  using _cleanUp = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  await using store = await startFaultyStore(join(folder, 'store'));
  await using repository = await initRepository({
    location: `rest:${store.url}`,
    password: async () => Buffer.from('x'),
  });
  const root = join(folder, 'data');
  mkdirSync(root);
  writeFileSync(join(root, 'large'), randomBytes(50_000_000));
  const packs = (): number =>
    readdirSync(join(folder, 'store', 'data'), { recursive: true }).filter((name) => name.length > 60).length;
  store.plan = { fault: 'stalls', from: 0, times: 1e9, salt: 0 };
  const seen: number[] = [];
  await saveTogether(
    repository,
    [
      {
        source: { kind: 'directory', root },
        volume: testVolume,
        tags: [],
        hostname: 'host',
        timeMs: Date.now(),
        grade: 'crash',
        excludePatterns: [],
      },
    ],
    {
      liveFirst: true,
      clones: false,
      async begin(prepare) {
        await prepare();
        seen.push(packs());
        await sleep(1500);
        seen.push(packs());
        return Date.now();
      },
      end: async () => undefined,
    },
  );
  expect(seen[0]).toBeGreaterThan(0);
  expect(seen[1]).toBe(seen[0]);
}, 120_000);

test('data that waits for a store which takes nothing is let go, once', async () => {
  const cuts: string[] = [];
  let stalledMs = 0;
  const scheduler = { stalledForMs: () => stalledMs };
  const onStall = (reason: string): void => void cuts.push(reason);
  using _watch = watchStore(scheduler, onStall, { stallMs: 1000, everyMs: 5, written: () => 0 });
  await sleep(1100);
  expect(cuts).toEqual([]);
  stalledMs = 6000;
  while (cuts.length === 0) await sleep(5);
  await sleep(50);
  expect(cuts).toEqual(['the repository has taken nothing for 1 s']);
});

test('data on its way to a store that is slow, and takes some all the while, stays still', async () => {
  const cuts: string[] = [];
  const scheduler = { stalledForMs: () => 6000 };
  const onStall = (reason: string): void => void cuts.push(reason);
  let bytes = 0;
  let perLook = 300_000;
  const written = (): number => (bytes += perLook);
  using _watch = watchStore(scheduler, onStall, { stallMs: 1000, everyMs: 5, written });
  await sleep(1500);
  expect(cuts).toEqual([]);
  perLook = 100;
  while (cuts.length === 0) await sleep(5);
});
