import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { copyTree } from '../../src/volumes/mirror/copy-tree.ts';
import type { TreeProblem } from '../../src/lib/tree-problem.ts';
import { makeHostileTree } from '../support/hostile-tree.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { treeFacts } from '../support/tree-facts.ts';

describe.each(['btrfs', 'xfs', 'ext4'] as const)('on %s', (type) => {
  test('copyTree() makes an exact copy, which takes no room where files can share their blocks', async () => {
    await using disk = mountLoopFilesystem(type);
    const from = join(disk.path, 'from');
    const to = join(disk.path, 'to');
    mkdirSync(to);
    await makeHostileTree(from, { socket: true });
    writeFileSync(join(from, 'large'), Buffer.alloc(64 * 1024 * 1024, 'x'));
    disk.remount('rw');
    const before = statfsSync(disk.path);
    const problems: TreeProblem[] = [];
    await copyTree(from, to, { onProblem: (problem) => problems.push(problem) });
    expect(problems).toEqual([]);
    // The allocation of repeatedly extended files differs between file systems: the tree is compared with
    // itself only.
    expect(treeFacts(to, { without: ['holes'] })).toEqual(treeFacts(from, { without: ['holes'] }));
    const taken = (before.bfree - statfsSync(disk.path).bfree) * before.bsize;
    if (type === 'ext4') expect(taken).toBeGreaterThan(60 * 1024 * 1024);
    else expect(taken).toBeLessThan(16 * 1024 * 1024);
  });
});

describe('an import that is killed', () => {
  test('leaves an empty volume that the next import fills, whenever it is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'killed-'));
    try {
      const from = join(folder, 'volumes/from');
      for (let index = 0; index < 3000; index++) {
        mkdirSync(join(from, `d${index % 50}`), { recursive: true });
        writeFileSync(join(from, `d${index % 50}`, `f${index}`), `content ${index} `.repeat(30));
      }
      const script = fileURLToPath(new URL('../support/import-by-directory.ts', import.meta.url));
      const to = join(folder, 'volumes/to');
      const run = (args: readonly string[]) =>
        spawn(process.execPath, [script, folder, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exported = run(['export']);
      expect((await once(exported, 'exit'))[0]).toBe(0);
      let killedEarly = 0;
      for (let delayMs = 0; delayMs < 200; delayMs += 40) {
        await rm(to, { recursive: true, force: true });
        mkdirSync(to, { recursive: true });
        const child = run(['import']);
        const ended = once(child, 'exit');
        await once(child.stdout, 'data');
        await sleep(delayMs);
        child.kill('SIGKILL');
        await ended;
        const names = existsSync(to) ? readdirSync(to) : [];
        if (names.every((name) => name.startsWith('.holdfast-stage-'))) {
          killedEarly++;
          expect((await once(run(['import']), 'exit'))[0]).toBe(0);
        }
        expect(treeFacts(to)).toEqual(treeFacts(from));
      }
      expect(killedEarly).toBeGreaterThan(0);
      expect(readFileSync(join(to, 'd1/f1'), 'utf8')).toContain('content 1');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
