import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ManagedVolume } from '../../app/app.ts';
import { readMounts } from '../../lib/mountinfo.ts';
import { dropStaleHolds } from './drop-stale-holds.ts';

let processes: string;
beforeEach(() => {
  processes = mkdtempSync(join(tmpdir(), 'processes-'));
  return () => rmSync(processes, { recursive: true });
});

/** A process whose mounts cannot be read has just ended. */
function addProcess(pid: string, namespace: string, mounts?: string): void {
  mkdirSync(join(processes, pid, 'ns'), { recursive: true });
  symlinkSync(namespace, join(processes, pid, 'ns/mnt'));
  if (mounts !== undefined) writeFileSync(join(processes, pid, 'mountinfo'), mounts);
}

/** A mount point of this machine, as a container with another root sees it. */
async function asVolume(): Promise<{ readonly mountpoint: string; readonly container: string }> {
  const mount = (await readMounts()).find(({ path }) => path === '/proc');
  if (mount === undefined) throw new Error('there is no /proc');
  const { device, root } = mount;
  const lines = ['1 0 0:99 / / rw - overlay overlay rw', `2 1 ${device} ${root} /data rw - proc proc rw`];
  return { mountpoint: '/proc', container: `${lines.join('\n')}\n` };
}

async function drop(mountpoint: string): Promise<readonly string[]> {
  // No process has that number.
  const held = { name: 'pg', mountpoint, mountIds: ['docker:4194305:1:id'] } as unknown as ManagedVolume;
  return await dropStaleHolds(
    {
      list: async () => [held],
      reconcile: async () => ({
        dropped: [{ name: 'pg', id: 'docker:4194305:1:id' }],
        unmounted: [],
        remounted: [],
        problems: [],
      }),
    },
    { processes },
  );
}

describe('holds of an engine that has ended', () => {
  test('are released when no container sees the volume', async () => {
    const { mountpoint } = await asVolume();
    addProcess('1', 'mnt:[1]', '1 0 0:1 / / rw - ext4 /dev/sda rw\n');
    symlinkSync('1', join(processes, 'self'));
    expect(await drop(mountpoint)).toEqual(['pg']);
  });

  test('stay while a container sees it, also when another process of that container ends meanwhile', async () => {
    const { mountpoint, container } = await asVolume();
    addProcess('1', 'mnt:[1]', '1 0 0:1 / / rw - ext4 /dev/sda rw\n');
    symlinkSync('1', join(processes, 'self'));
    addProcess('20', 'mnt:[2]');
    addProcess('30', 'mnt:[2]', container);
    expect(await drop(mountpoint)).toEqual([]);
  });
});
