import { randomFillSync } from 'node:crypto';
import { fdatasyncSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { AppError } from '../../model/errors.ts';
import type { DiskMeasure } from './fio-jobs.ts';
import type { Latency, Measure } from '../../model/benchmark.ts';

/** What can be measured without fio: reads would come from the page cache, and one request at a time is not random. */
export const simpleMeasures: readonly DiskMeasure[] = ['commit-2300', 'commit-8k', 'stream-write'];

export interface SimpleRequest {
  readonly fd: number;
  readonly measure: DiskMeasure;
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly signal: AbortSignal | undefined;
}

const pieceBytes = { 'commit-2300': 2300, 'commit-8k': 8192, 'stream-write': 1 << 20 } as const;

/** The same as fio's jobs, by single calls of this process. */
export async function simpleTest(request: SimpleRequest): Promise<Measure> {
  const { fd, measure, sizeBytes, seconds, signal } = request;
  const bytes = pieceBytes[measure as keyof typeof pieceBytes];
  const isStream = measure === 'stream-write';
  const piece = Buffer.allocUnsafe(bytes);
  const syncs: number[] = [];
  const started = performance.now();
  let [offset, written, turns] = [0, 0, 0];
  while (performance.now() - started < seconds * 1000 && !(isStream && written + bytes > sizeBytes)) {
    if (++turns % 8 === 0) await setImmediate();
    if (signal?.aborted === true) throw new AppError('cancelled', 'Cancelled while measuring');
    if (offset + bytes > sizeBytes) offset = 0;
    randomFillSync(piece);
    offset += writeSync(fd, piece, 0, bytes, offset);
    written += bytes;
    if (isStream) continue;
    const before = performance.now();
    fdatasyncSync(fd);
    syncs.push(performance.now() - before);
  }
  if (isStream) fdatasyncSync(fd);
  const elapsed = (performance.now() - started) / 1000;
  const rate = isStream ? written / elapsed : syncs.length / elapsed;
  return { name: measure, rate, latency: isStream ? undefined : percentiles(syncs) };
}

export function percentiles(timesMs: readonly number[]): Latency | undefined {
  if (timesMs.length === 0) return undefined;
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) };
}
