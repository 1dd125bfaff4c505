import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import { choosePatients } from './patients.ts';
import { diagnoseSquash } from './squashed-root.ts';

test.runIf(process.getuid?.() === 0)(
  'a mount that takes no writes at all is not taken for a server that gives root no rights',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'squashed-'));
    // As a server does, it refuses root.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder]);
    const mount = { type: 'bind', source: folder, destination: '/data', readOnly: false } as const;
    const app = memoryContainers().add({ name: 'app', user: '0', pid: undefined, mounts: [mount] });
    const { mounts } = choosePatients({ host: undefined, containers: [app], volumes: [] }, undefined);
    const found = async (ofMount: string, ofFileSystem: string): Promise<string[]> => {
      const machine = parseMountinfo(`1 0 0:50 / ${folder} ${ofMount} - nfs4 nas:/share ${ofFileSystem}\n`);
      const options = { isAsked: true, machine, processes: new Map() };
      return (await diagnoseSquash(mounts, options, undefined)).findings.map(({ id }) => id);
    };
    try {
      expect(await found('rw', 'rw')).toEqual(['HF-D024']);
      expect(await found('ro', 'rw')).toEqual([]);
      expect(await found('rw', 'ro')).toEqual([]);
    } finally {
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true });
    }
  },
);
