import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { ContainerMount } from '../../hosts/containers.ts';
import type { DoctorFinding } from './diagnosis.ts';
import { diagnoseScratch } from './scratch.ts';

/** What is found for a container with this process alone. */
function find(
  pid: number,
  { hangs = () => false, mounts = [] }: { hangs?: (path: string) => boolean; mounts?: ContainerMount[] } = {},
): readonly DoctorFinding[] {
  const container = memoryContainers().add({ name: 'app', state: 'running', pid, mounts });
  const processes = new Map([[container.id, [pid]]]);
  return diagnoseScratch([container], { processes, doesAnswer: (_, path) => !hangs(path) }).findings;
}

test.skipIf(process.getuid?.() !== 0)(
  'a full folder in memory is told of, but not the machine’s, nor one to which the way hangs',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'scratch-'));
    const place = join(folder, 'memory');
    mkdirSync(place);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place]);
    try {
      expect(() => writeFileSync(join(place, 'file'), Buffer.alloc(128 << 10))).toThrow('ENOSPC');
      const told = (findings: readonly DoctorFinding[]): boolean =>
        findings.some(({ id, message }) => id === 'HF-D034' && message.includes(`"${place}"`));
      expect(told(find(process.pid))).toBe(true);
      expect(told(find(process.pid, { hangs: (path) => path === place }))).toBe(false);
      const bind = { type: 'bind', source: folder, destination: folder, readOnly: false } as const;
      const own = { type: 'tmpfs', source: undefined, destination: place, readOnly: false } as const;
      expect(told(find(process.pid, { mounts: [bind] }))).toBe(false);
      expect(told(find(process.pid, { mounts: [bind, own] }))).toBe(true);
    } finally {
      execFileSync('umount', [place]);
      rmSync(folder, { recursive: true });
    }
  },
);

test.each([
  ['a process that has as many files open as it may is told of', 8, ['HF-D035']],
  ['a process that took the right to open files from itself is no fault', 0, []],
] as const)('%s', async (_behaviour, limit, ids) => {
  await using child = await startReader();
  execFileSync('prlimit', [`--pid=${child.pid}`, `--nofile=${limit}:${limit}`]);
  expect(find(child.pid).filter(({ id }) => id === 'HF-D035')).toMatchObject(ids.map((id) => ({ id })));
});

/** A process with eight open files. */
async function startReader(): Promise<AsyncDisposable & { readonly pid: number }> {
  const script = 'exec 3<&0 4<&0 5<&0 6<&0 7<&0; echo ready; exec sleep 1000';
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
