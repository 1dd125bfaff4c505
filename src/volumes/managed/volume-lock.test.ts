import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isStillRunning, runToEnd } from '../../lib/run-to-end.ts';
import { lockVolumeFolder } from './volume-lock.ts';

test('a volume whose storage a program still changes is locked until the program ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'volume-'));
  try {
    const options = { name: 'pg', action: 'mount' };
    const running = runToEnd('sh', ['-c', 'until [ -e "$1/go" ]; do sleep 0.02; done', 'sh', folder], {
      folder,
    });
    while (!isStillRunning(folder)) await setImmediate();
    await expect(lockVolumeFolder(folder, { ...options, waitMs: 50 })).rejects.toMatchObject({
      code: 'locked',
    });
    await writeFile(join(folder, 'go'), '');
    await running;
    using lock = await lockVolumeFolder(folder, options);
    expect(lock).toBeDefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});
