import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unmountOrDetach } from './mount-answers.ts';

test.runIf(process.getuid?.() === 0)(
  'a mount that neither answers nor goes is not taken for unmounted',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mount-answers-'));
    const [bin, mountpoint] = [join(folder, 'bin'), join(folder, 'data')];
    for (const path of [bin, mountpoint]) mkdirSync(path);
    // As where the server is away, and the kernel refuses.
    for (const name of ['stat', 'umount'])
      writeFileSync(join(bin, name), '#!/bin/sh\necho refused >&2\nexit 32\n', { mode: 0o755 });
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mountpoint]);
    const path = process.env['PATH'];
    process.env['PATH'] = `${bin}:${path}`;
    try {
      const unmounting = unmountOrDetach({ name: 'pg', options: {}, folder, mountpoint });
      await expect(unmounting).rejects.toMatchObject({
        code: 'failed',
        message: 'Cannot unmount volume "pg"',
        detail: 'refused',
      });
    } finally {
      process.env['PATH'] = path;
      execFileSync('umount', [mountpoint]);
      rmSync(folder, { recursive: true });
    }
  },
);
