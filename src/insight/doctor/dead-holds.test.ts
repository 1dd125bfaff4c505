import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { someVolume } from '../../../test/fixtures/some-volume.ts';
import { readMounts } from '../../lib/mountinfo.ts';
import { diagnoseHolds } from './dead-holds.ts';

test.skipIf(process.getuid?.() !== 0)(
  'what is printed for a mount that another program holds runs no program of that one',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holds-'));
    const mountpoint = join(folder, 'data');
    const [planted, ran] = [join(folder, 'planted'), join(folder, 'ran')];
    mkdirSync(mountpoint);
    writeFileSync(planted, `#!/bin/sh\necho ran > ${ran}\n`);
    chmodSync(planted, 0o755);
    const script = `mount -t tmpfs none "$1" && mount --bind "$2" "$(command -v umount)" && exec sleep 1000`;
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', mountpoint, planted];
    const holder = spawn('unshare', args, { stdio: 'ignore' });
    const ended = once(holder, 'exit');
    const mountsThere = (): string => readFileSync(`/proc/${holder.pid}/mountinfo`, 'latin1');
    try {
      await expect.poll(() => readFileSync(`/proc/${holder.pid}/comm`, 'utf8').trim()).toBe('sleep');
      const { findings } = diagnoseHolds({
        containers: [],
        volumes: [someVolume('held', { mountpoint })],
        processes: new Map(),
        mounts: await readMounts(),
      });
      expect(findings).toMatchObject([{ id: 'HF-D086', subject: { name: 'held' } }]);
      const [[program = '', ...words] = []] = findings[0]?.commands ?? [];
      execFileSync(program, words);
      expect(mountsThere()).not.toContain(mountpoint);
      expect(existsSync(ran)).toBe(false);
    } finally {
      holder.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true });
    }
  },
);
