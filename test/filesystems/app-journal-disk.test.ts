import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errnoOf } from '../../src/model/errors.ts';
import { holdAppJournal, writeAppJournal } from '../../src/quiesce/app-journal.ts';

test('what is to be done by hand is written down on a disk that has no room but for the reserve', async () => {
  const disk = mkdtempSync(join(tmpdir(), 'disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,nr_inodes=40', 'tmpfs', disk]);
  try {
    const about = { hostIdentity: 'engine', reason: 'move', how: 'stop', since: '', levels: [[]] } as const;
    await using journal = await writeAppJournal(await holdAppJournal(disk), about);
    await journal.noteLevel(0, 0);
    expect(() => fill(disk)).toThrow(expect.toSatisfy((error) => errnoOf(error) === 'ENOSPC') as Error);
    await journal.noteByHand('run "docker compose up -d app"');
    expect(await journal.readByHand()).toBe('run "docker compose up -d app"');
  } finally {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  }
});

function fill(disk: string): void {
  for (let number = 0; number < 100; number++) writeFileSync(join(disk, `${number}`), '');
}
