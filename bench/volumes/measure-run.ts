import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../src/model/errors.ts';
import { inTurn, type Samples, type SideName, timeOf } from './samples.ts';

const run = promisify(execFile);

export interface RunRequest {
  readonly socket: string;
  readonly row: string;
  readonly samples: Samples;
  readonly signal: AbortSignal;
}

const image = 'holdfast-bench';
const turns = 20;
const busybox = '/bin/busybox';

/** The volume of each side, on the same engine: one through the plugin, one on the engine's own driver. */
export const runVolumes: Readonly<Record<SideName, string>> = {
  Holdfast: 'bench-own',
  dockerd: 'bench-local',
};

/** Creates an image of the machine's own busybox: nothing is pulled. */
export async function makeImage(
  folder: string,
  { socket, signal }: Pick<RunRequest, 'socket' | 'signal'>,
): Promise<void> {
  const root = join(folder, 'image');
  mkdirSync(join(root, 'bin'), { recursive: true });
  await copyFile(busybox, join(root, 'bin/busybox'));
  symlinkSync('busybox', join(root, 'bin/true'));
  const pack = spawn('tar', ['-C', root, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'inherit'], signal });
  const load = spawn('docker', ['import', '-', image], {
    env: environment(socket),
    stdio: [pack.stdout, 'ignore', 'inherit'],
    signal,
  });
  const [code] = (await once(load, 'exit')) as [number | null];
  rmSync(root, { recursive: true });
  if (code !== 0) throw new AppError('failed', 'Cannot make an image of "/bin/busybox"');
}

/** One round of `docker run` with each volume in turn. */
export async function measureRuns({ socket, row, samples, signal }: RunRequest): Promise<void> {
  const sides: readonly SideName[] = ['Holdfast', 'dockerd'];
  for (let turn = -1; turn < turns; turn += 1) {
    for (const side of inTurn(sides, turn + 1)) {
      const args = ['run', '--rm', '--network=none', '-v', `${runVolumes[side]}:/data`, image, 'true'];
      const ms = await timeOf(() => run('docker', args, { env: environment(socket), signal }));
      // The first one loads what the others find loaded.
      if (turn >= 0) samples.add(row, side, ms);
    }
  }
}

function environment(socket: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: '/nonexistent', DOCKER_HOST: `unix://${socket}` };
}
