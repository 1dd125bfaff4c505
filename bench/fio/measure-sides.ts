import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../src/model/errors.ts';
import { parseJson } from '../../src/model/parse-json.ts';
import { holdfastEnvironment, holdfastProgram } from '../volumes/volume-service.ts';

/** Returns its standard output. */
async function run(
  program: string,
  args: readonly string[],
  { env, signal }: { readonly env?: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { env, signal, maxBuffer: 16 << 20 });
    return stdout;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

export type FioProfile = 'database' | 'stream' | 'random';

/** What one side says of one test. */
export interface Figures {
  /** Commits, bytes or operations per second. */
  readonly rate: number;
  /** Half of all take no longer. Says little of a disk, and much of whether two tests do the same. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** By the names of `holdfast bench`. */
export type SideFigures = ReadonlyMap<string, Figures>;

export const sizeMiB = 256;
const seconds = 2;

/** What a person types, one line for each test; the first of `random` lays out what is read. */
const byHand: Readonly<Record<FioProfile, readonly (readonly [name: string | undefined, args: string])[]>> = {
  database: [
    ['commit-2300', '--rw=write --bs=2300 --ioengine=sync --fdatasync=1'],
    ['commit-8k', '--rw=write --bs=8k --ioengine=sync --fdatasync=1'],
  ],
  stream: [
    ['stream-write', '--rw=write --bs=1m --ioengine=libaio --direct=1 --iodepth=8 --end_fsync=1'],
    ['stream-read', '--rw=read --bs=1m --ioengine=libaio --direct=1 --iodepth=8'],
  ],
  random: [
    [undefined, '--rw=write --bs=1m --ioengine=libaio --direct=1 --iodepth=8 --end_fsync=1'],
    ['random-read', '--rw=randread --bs=4k --ioengine=libaio --direct=1 --iodepth=32'],
    ['random-write', '--rw=randwrite --bs=4k --ioengine=libaio --direct=1 --iodepth=32'],
  ],
};

/** fio by hand, with a file of its own for commits, as a log is a new file. */
export async function measureByHand(
  folder: string,
  profile: FioProfile,
  signal: AbortSignal,
): Promise<SideFigures> {
  const file = join(folder, 'by-hand');
  const figures = new Map<string, Figures>();
  try {
    for (const [name, args] of byHand[profile]) {
      if (profile === 'database') rmSync(file, { force: true });
      const text = await run(
        'fio',
        [
          ...['--name=by-hand', `--filename=${file}`, ...args.split(' '), `--size=${sizeMiB}m`],
          ...[`--runtime=${seconds}`, '--time_based', '--output-format=json'],
        ],
        { signal },
      );
      if (name !== undefined) figures.set(name, readFio(name, text));
    }
    return figures;
  } finally {
    rmSync(file, { force: true });
  }
}

interface FioWay {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

interface FioJob {
  readonly read: FioWay;
  readonly write: FioWay;
  readonly sync: { readonly lat_ns: { readonly percentile?: Readonly<Record<string, number>> } };
}

/** Read here by itself, so that a mistake in Holdfast's own reading shows. */
function readFio(name: string, text: string): Figures {
  const { jobs } = (parseJson(text.slice(text.indexOf('{\n'))) ?? { jobs: [] }) as {
    readonly jobs: FioJob[];
  };
  const [job] = jobs;
  if (job === undefined) throw new AppError('failed', 'fio by hand said nothing that can be read');
  const way = job[name.endsWith('read') ? 'read' : 'write'];
  const { percentile } = name.startsWith('commit') ? job.sync.lat_ns : way.clat_ns;
  const at = (key: string): number => (percentile?.[key] ?? Number.NaN) / 1e6;
  const rate = name.startsWith('stream') ? way.bw_bytes : way.iops;
  return { rate, p50Ms: at('50.000000'), p99Ms: at('99.000000') };
}

interface BenchDocument {
  readonly volumes: readonly {
    readonly tool: string;
    readonly measures: readonly {
      readonly name: string;
      readonly rate: number;
      readonly latency: { readonly p50Ms: number; readonly p99Ms: number } | null;
    }[];
  }[];
}

/** `holdfast bench` of the same size and length. */
export async function measureByBench(
  { home, volume }: { readonly home: string; readonly volume: string },
  profile: FioProfile,
  signal: AbortSignal,
): Promise<SideFigures> {
  const flags = ['--quick', '--size', `${sizeMiB}MiB`, '--profile', profile, '--format', 'json'];
  const env = holdfastEnvironment(home);
  const text = await run(holdfastProgram, ['bench', volume, ...flags], { env, signal });
  const [found] = (JSON.parse(text) as BenchDocument).volumes;
  return new Map(
    (found?.measures ?? []).map(({ name, rate, latency }) => [
      name,
      { rate, p50Ms: latency?.p50Ms ?? Number.NaN, p99Ms: latency?.p99Ms ?? Number.NaN },
    ]),
  );
}

/** Makes the volume to measure, and returns its mount point. */
export async function makeVolume(home: string, volume: string, signal: AbortSignal): Promise<string> {
  const env = holdfastEnvironment(home);
  await run(holdfastProgram, ['volume', 'create', volume], { env, signal });
  const text = await run(holdfastProgram, ['volume', 'inspect', volume, '--format', 'json'], { env, signal });
  const [found] = JSON.parse(text) as readonly { readonly mountpoint: string }[];
  if (found === undefined) throw new AppError('failed', 'The volume to measure was not made');
  return found.mountpoint;
}
