import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyPrepare } from '../../src/compose/prepare/apply-prepare.ts';
import type { FolderStep } from '../../src/compose/prepare/plan-prepare.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { attackerUid, compile, prepareAttack } from './attacker.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prepare-attack-'));
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rounds = 400;

test(
  'what "compose prepare" makes for a user who swaps it with links stays in that user’s folders',
  { timeout: 300_000 },
  async () => {
    const precious = join(folder, 'precious');
    mkdirSync(join(precious, 'data'), { recursive: true, mode: 0o700 });
    writeFileSync(join(precious, 'data/key'), 'secret', { mode: 0o600 });
    const before = treeFacts(precious);
    const home = join(folder, 'home');
    mkdirSync(home);
    for (let index = 0; index < rounds; index++) {
      mkdirSync(join(home, `${index}`));
      symlinkSync(precious, join(home, `${index}/lure`));
      chownSync(join(home, `${index}`), attackerUid, attackerUid);
    }
    const program = compile('swap-prepared', folder);
    const attacker = await prepareAttack(program, [home], { uid: attackerUid, cwd: folder });
    attacker.begin();
    const seen = { made: 0, there: 0, failed: 0 };
    try {
      for (let index = 0; index < rounds; index++) {
        const steps = ['d/data', 'd/logs'].map((name) => folderFor(join(home, `${index}`, name)));
        for (const { outcome } of await applyPrepare({ steps }, { volumes: noVolumes })) seen[outcome] += 1;
        writeFileSync(join(home, `${index}/done`), '');
      }
    } finally {
      const { swaps = 0 } = await attacker.end();
      expect(swaps).toBeGreaterThan(0);
    }
    expect(treeFacts(precious)).toEqual(before);
    // Some attacks came in time, and some folders were made all the same.
    expect(seen.failed).toBeGreaterThan(0);
    expect(seen.made).toBeGreaterThan(0);
  },
);

function folderFor(path: string): FolderStep {
  const position = { file: '/compose.yaml', line: 1, column: 1 };
  return {
    kind: 'folder',
    path,
    owner: { uid: 999, gid: 999 },
    mode: 0o777,
    because: '',
    usedBy: [],
    position,
  };
}

function noVolumes(): Promise<never> {
  return Promise.reject(new Error('no volume is asked for'));
}
