import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { CliResult } from '../cli/cli.ts';
import { dice, seed, times } from '../faults/seeded.ts';
import { onEngine } from '../support/on-engine.ts';
import { treeFacts } from '../support/tree-facts.ts';

const kills = times({ all: 30, daily: 3 });
const volume = 'far';
const files = 800;

/** As if the engine were the only way to the data. */
const on = onEngine({ env: { HOLDFAST_DATA_WAY: 'stream' } });

const run = (...args: string[]): Promise<CliResult> => on.run(args);

function fill(version: string): void {
  const folder = join(on.engine.volumePath(volume), 'files');
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < files; i++) writeFileSync(join(folder, `f${i}`), `${version} ${i}`.repeat(40));
}

/** What is in the volume; undefined when there is none. */
function facts(): string | undefined {
  const root = on.engine.volumePath(volume);
  return existsSync(root) ? hash('sha256', JSON.stringify(treeFacts(root))) : undefined;
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function countFiles(): number {
  const folder = join(on.engine.volumePath(volume), 'files');
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

/** Kills a restore once the new volume holds that many files; false when it ended before. */
async function killedAt(args: readonly string[], count: number): Promise<boolean> {
  const before = inodeOf(on.engine.volumePath(volume));
  const { child, kill } = on.start(args);
  while (child.exitCode === null && child.signalCode === null) {
    const isRemoved = inodeOf(on.engine.volumePath(volume)) !== before;
    if (isRemoved && countFiles() >= count) break;
    await sleep(1);
  }
  return await kill();
}

test(
  `a restore through the engine that is killed ${kills} times is reported at the next start, kept out of backups, and undone by recover`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill restore streamed');
    await on.engine.docker(['volume', 'create', '--label', 'mine=yes', volume]);
    fill('old');
    await run('backup', volume);
    const [id = ''] = (await run('snapshots', volume, '-q')).stdout.split('\n');
    const old = facts();
    fill('new');
    let fresh = facts();
    let half = 0;
    for (let round = 0; round < kills; round++) {
      // Includes the moment without a volume, or with an empty one.
      const count = round === 0 ? 0 : random.between(0, files);
      const where = `seed ${seed}, kill ${round + 1}, at ${count} files`;
      await killedAt(['restore', `${volume}@${id.slice(0, 12)}`, '--yes'], count);
      // Data sent to the engine may still be on its way.
      const isWhole = (await run('volume', 'ls')).stderr === '';
      if (!isWhole) {
        half++;
        const refused = await on.attempt(['backup', volume]);
        expect(refused.exit, where).not.toBe(0);
        if (facts() !== undefined) expect(refused.stderr, where).toContain('what is in it is not whole');
      }
      const recovered = await run('recover');
      if (!isWhole) expect(recovered.stdout, where).toContain('what was in it is back');
      const whole = await run('volume', 'ls');
      expect(whole.stderr, where).toBe('');
      expect(isWhole ? [old, fresh] : [fresh], where).toContain(facts());
      if (facts() === old) {
        fill('new');
        fresh = facts();
      }
      expect(await on.engine.docker(['ps', '-aq']), where).toBe('');
      expect(await on.engine.docker(['volume', 'inspect', '-f', '{{json .Labels}}', volume])).toBe(
        '{"mine":"yes"}',
      );
    }
    expect(half, `seed ${seed}: no kill came while it was half restored`).toBeGreaterThan(0);
    await run('backup', volume);
  },
);
