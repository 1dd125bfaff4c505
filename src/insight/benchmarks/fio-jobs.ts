import { constants } from 'node:os';
import { AppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import type { Latency, Measure, MeasureName } from '../../model/benchmark.ts';

/** A measurement by fio, or by our own simple test. */
export type DiskMeasure = Exclude<MeasureName, `files-${string}`>;

export interface FioRequest {
  readonly measure: DiskMeasure;
  readonly sizeBytes: number;
  readonly seconds: number;
  /** False where the file system refuses direct I/O. */
  readonly isDirect: boolean;
  /** `libaio` has several requests under way; `psync`, which is always there, has one. */
  readonly engine: 'libaio' | 'psync';
}

const shapes: Readonly<Record<DiskMeasure, readonly string[]>> = {
  // One client that waits for each commit, as etcd's and PostgreSQL's own tests do.
  'commit-2300': ['--rw=write', '--bs=2300', '--ioengine=sync', '--fdatasync=1', '--time_based'],
  'commit-8k': ['--rw=write', '--bs=8k', '--ioengine=sync', '--fdatasync=1', '--time_based'],
  'stream-write': ['--rw=write', '--bs=1m', '--iodepth=8', '--end_fsync=1', '--time_based'],
  'stream-read': ['--rw=read', '--bs=1m', '--iodepth=8', '--time_based'],
  'random-write': ['--rw=randwrite', '--bs=4k', '--iodepth=32', '--time_based'],
  'random-read': ['--rw=randread', '--bs=4k', '--iodepth=32', '--time_based'],
};

/**
 * fio's arguments for one measurement of the file that it has open as 3. The file has its size already: fio
 * would otherwise remove it and make another by its name. Pure.
 */
export function fioArguments({ measure, sizeBytes, seconds, isDirect, engine }: FioRequest): string[] {
  const isCommit = measure.startsWith('commit-');
  return [
    `--name=${measure}`,
    '--filename=/proc/self/fd/3',
    ...shapes[measure],
    ...(isCommit ? [] : [`--ioengine=${engine}`, `--direct=${isDirect ? 1 : 0}`]),
    `--size=${sizeBytes}`,
    `--runtime=${seconds}`,
    // Not --refill_buffers: it makes 2.5 GB of random data a second, half the speed of a fast disk. What fio writes
    // by itself is random too, and it changes a part of it each time.
    '--randrepeat=0',
    '--unlink=0',
    // One process, which ends with its group.
    '--thread',
    '--output-format=json',
  ];
}

/** A number by the keys that lead to it; undefined when one of them is missing. */
function numberAt(value: unknown, ...keys: readonly string[]): number | undefined {
  let at = value;
  for (const key of keys) at = (at as Readonly<Record<string, unknown>> | null | undefined)?.[key];
  return typeof at === 'number' ? at : undefined;
}

export interface FioResult {
  readonly measure: Measure;
  /** As fio says it: `fio-3.39`. */
  readonly version: string;
  /** What was moved. */
  readonly bytes: number;
  /** fio's own document. */
  readonly document: unknown;
}

/**
 * Reads fio's document. Throws `full` when the disk was full, `unavailable` when the volume failed or went
 * away, `failed` for anything else. Pure.
 */
export function readFioResult(measure: DiskMeasure, output: string): FioResult {
  // Notes may stand before it.
  const document = parseJson(output.slice(Math.max(0, output.indexOf('{\n'))));
  const job = ((document as { jobs?: unknown[] } | undefined)?.jobs ?? [])[0];
  const error = numberAt(job, 'error');
  if (error === undefined) throw new AppError('failed', 'fio said nothing that can be read');
  if (error !== 0) throw fioError(error);
  const way = measure.endsWith('read') ? 'read' : 'write';
  const isCommit = measure.startsWith('commit-');
  const rate = numberAt(job, way, measure.startsWith('stream-') ? 'bw_bytes' : 'iops');
  if (rate === undefined) throw new AppError('failed', 'fio said nothing that can be read');
  const latency = isCommit ? latencyOf(job, 'sync', 'lat_ns') : latencyOf(job, way, 'clat_ns');
  const version = (document as Readonly<Record<string, unknown>>)['fio version'];
  return {
    measure: { name: measure, rate, latency },
    version: typeof version === 'string' ? version : 'fio',
    bytes: numberAt(job, way, 'io_bytes') ?? 0,
    document,
  };
}

function latencyOf(job: unknown, ...keys: readonly string[]): Latency | undefined {
  const at = (percentile: string): number | undefined => numberAt(job, ...keys, 'percentile', percentile);
  const [p50, p99, p999] = [at('50.000000'), at('99.000000'), at('99.900000')];
  if (p50 === undefined || p99 === undefined || p999 === undefined) return undefined;
  return { p50Ms: p50 / 1e6, p99Ms: p99 / 1e6, p999Ms: p999 / 1e6 };
}

function fioError(errno: number): AppError {
  const { ENOSPC, EDQUOT, EIO, ESTALE, ENODEV, EROFS } = constants.errno;
  if (errno === ENOSPC || errno === EDQUOT)
    return new AppError('full', 'The disk became full while it was measured', {
      hint: 'What the benchmark wrote is gone again. Try it with a smaller --size.',
    });
  if ([EIO, ESTALE, ENODEV, EROFS].includes(errno))
    return new AppError('unavailable', `The volume failed while it was measured (error ${errno})`);
  return new AppError('failed', `fio failed with error ${errno}`);
}
