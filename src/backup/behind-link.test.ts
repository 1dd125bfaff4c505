import { lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Snapshot } from '../model/snapshot.ts';
import { refuseBehindLink } from './behind-link.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'behind-link-'));
  return () => rmSync(folder, { recursive: true });
});

/** What a restore to `data`, below another user's link, answers. */
async function refusal(realPath: string | undefined): Promise<void> {
  const link = join(folder, 'link');
  symlinkSync(join(folder, 'disk'), link);
  lchownSync(link, 4711, 4711);
  lchownSync(folder, 4711, 4711);
  const volume = { kind: 'path', name: join(link, 'data'), realPath };
  await refuseBehindLink({ id: '0123456789abcdef', volume } as unknown as Snapshot);
}

describe.runIf(process.geteuid?.() === 0)('a directory behind a link of another user', () => {
  test('that is gone is restored to its place when it was saved, and the hint says so', async () => {
    const place = join(folder, 'disk/data');
    await expect(refusal(place)).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining(`holdfast restore 01234567 --to "${place}"`),
    });
  });

  test('that is gone, and whose place is unknown, is restored to a new directory', async () => {
    await expect(refusal(undefined)).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('Restore to a new directory with --to'),
    });
  });

  test('that is now a different one is not named', async () => {
    mkdirSync(join(folder, 'disk/data'), { recursive: true });
    await expect(refusal(join(folder, 'former'))).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('leads somewhere else now'),
    });
  });
});
