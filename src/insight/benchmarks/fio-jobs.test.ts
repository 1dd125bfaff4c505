import { describe, expect, test } from 'vitest';
import { fioArguments, readFioResult } from './fio-jobs.ts';

/** As fio 3.39 writes it, shortened. */
function document(job: object): string {
  return `note: both iodepth >= 1 and synchronous I/O engine are selected\n${JSON.stringify({ 'fio version': 'fio-3.39', jobs: [job] }, undefined, 2)}\n`;
}

const percentile = { '50.000000': 880_640, '99.000000': 1_400_000, '99.900000': 78_118_912 };

describe('the arguments of fio', () => {
  const request = { sizeBytes: 1 << 20, seconds: 2, isDirect: true, engine: 'libaio' } as const;

  test('for commits are those of a client that waits for each', () => {
    expect(fioArguments({ ...request, measure: 'commit-2300' })).toEqual(
      expect.arrayContaining(['--rw=write', '--bs=2300', '--ioengine=sync', '--fdatasync=1', '--runtime=2']),
    );
  });

  test('for the rest go past the page cache where they can, and never write a pattern', () => {
    const args = fioArguments({ ...request, measure: 'random-read' });
    expect(args).toEqual(expect.arrayContaining(['--direct=1', '--ioengine=libaio', '--iodepth=32']));
    expect(fioArguments({ ...request, isDirect: false, measure: 'random-read' })).toContain('--direct=0');
    // It would measure how fast fio makes random data.
    expect(args).not.toContain('--refill_buffers');
  });

  test('name the open file, and never let fio remove it', () => {
    expect(fioArguments({ ...request, measure: 'stream-write' })).toEqual(
      expect.arrayContaining(['--filename=/proc/self/fd/3', '--unlink=0']),
    );
  });
});

describe('what fio says', () => {
  test('of commits is the time of fdatasync', () => {
    const write = { iops: 1200, bw_bytes: 1, io_bytes: 5, clat_ns: { percentile: { '50.000000': 1 } } };
    const { measure, version } = readFioResult(
      'commit-8k',
      document({ error: 0, write, sync: { lat_ns: { percentile } } }),
    );
    expect(version).toBe('fio-3.39');
    expect(measure).toEqual({
      name: 'commit-8k',
      rate: 1200,
      latency: { p50Ms: 0.880_64, p99Ms: 1.4, p999Ms: 78.118_912 },
    });
  });

  test('of reading in a row is bytes, and of reading at random operations', () => {
    const read = { iops: 10, bw_bytes: 1000, io_bytes: 5, clat_ns: { percentile } };
    const text = document({ error: 0, read, write: { iops: 0, bw_bytes: 0 } });
    expect(readFioResult('stream-read', text).measure.rate).toBe(1000);
    expect(readFioResult('random-read', text).measure.rate).toBe(10);
  });

  test.each([
    [28, 'full'],
    [122, 'full'],
    [5, 'unavailable'],
    [116, 'unavailable'],
    [1, 'failed'],
  ])('with error %i is an error: %s', (error, code) => {
    expect(() => readFioResult('stream-write', document({ error }))).toThrow(
      expect.objectContaining({ code }) as Error,
    );
  });

  test.each(['', 'fio: killed', '{\n', '{\n}', '{\n"jobs": [{"error": 0}]}'])(
    'when it is no result (%j) is an error',
    (text) => {
      expect(() => readFioResult('stream-write', text)).toThrow('nothing that can be read');
    },
  );
});
