import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { Container } from '../../hosts/containers.ts';
import { readMounts } from '../../lib/mountinfo.ts';
import type { DoctorFinding } from './diagnosis.ts';
import { choosePatients } from './patients.ts';
import { diagnoseRefusing } from './refusing-storage.ts';

// Only root can mount.
describe.skipIf(process.getuid?.() !== 0)('a mount that refuses programs', () => {
  let folder: string;
  let place: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'refusing-'));
    place = join(folder, 'app');
    mkdirSync(place);
  });
  afterEach(() => {
    execFileSync('umount', [place]);
    rmSync(folder, { recursive: true });
  });

  function mount(option: string): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', option, 'tmpfs', place]);
  }

  /** What is found for a container whose program lies there, and that sees the mounts of this process. */
  async function find(
    states: Partial<Container> = {},
    { source = place, isAsked = false } = {},
  ): Promise<readonly DoctorFinding[]> {
    const app = memoryContainers().add({
      ...{ name: 'app', state: 'running', pid: process.pid, entrypoint: [], command: [join(place, 'run')] },
      mounts: [{ type: 'bind', source, destination: place, readOnly: false }],
      ...states,
    });
    const { mounts } = choosePatients({ host: undefined, containers: [app], volumes: [] }, undefined);
    return diagnoseRefusing(mounts, { isAsked, machine: await readMounts() }).findings;
  }

  test('is told of where the program lies, if it runs none', async () => {
    mount('noexec');
    const restart = ['docker', 'restart', 'app'];
    const remount = ['mount', '-o', 'remount,exec', place];
    expect(await find()).toMatchObject([{ id: 'HF-D022', commands: [remount, restart] }]);
    // The container alone has it so.
    expect(await find({}, { source: '/' })).toMatchObject([{ id: 'HF-D022', commands: [restart] }]);
  });

  test('of setuid alone is told of for a container that fails and was asked for, if the source has it', async () => {
    mount('nosuid');
    const unwell = { state: 'restarting' } as const;
    expect(await find()).toEqual([]);
    expect(await find(unwell, { isAsked: true })).toMatchObject([{ id: 'HF-D022' }]);
    expect(await find(unwell, { source: '/', isAsked: true })).toEqual([]);
  });
});
