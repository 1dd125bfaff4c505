import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { DoctorFinding } from './diagnosis.ts';
import { diagnoseScratch } from './scratch.ts';

/** What is found for a container with this process alone. */
function find(pid: number, hangs: (path: string) => boolean = () => false): readonly DoctorFinding[] {
  const container = memoryContainers().add({ name: 'app', state: 'running', pid });
  const processes = new Map([[container.id, [pid]]]);
  return diagnoseScratch([container], { processes, doesAnswer: (_, path) => !hangs(path) }).findings;
}

test.skipIf(process.getuid?.() !== 0)(
  'a full folder in memory is told of, and not looked at where the way to it hangs',
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
      expect(told(find(process.pid, (path) => path === place))).toBe(false);
    } finally {
      execFileSync('umount', [place]);
      rmSync(folder, { recursive: true });
    }
  },
);
