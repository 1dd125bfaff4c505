import { expect, test } from 'vitest';
import type { Measure } from '../../model/benchmark.ts';
import { compareRates, usualRates, verdictOf, warningsOf } from './judge.ts';

function commits(rate: number, p50Ms: number, p99Ms: number): Measure[] {
  return [{ name: 'commit-8k', rate, latency: { p50Ms, p99Ms, p999Ms: p99Ms * 2 } }];
}

test.each<[string, Measure[], boolean]>([
  [
    'Fast enough for PostgreSQL: one client can commit 1,200 times a second, 99% within 1.4 ms.',
    commits(1200, 0.8, 1.4),
    false,
  ],
  ['Enough for a PostgreSQL with little to write: one client can commit 80', commits(80, 9, 30), false],
  ['Too slow for a database: one client can commit 3.5 times a second', commits(3.5, 200, 700), false],
  ['Too fast to be true: one client can commit 200,000', commits(200_000, 0.004, 0.01), false],
  ['In memory, and lost when it is unmounted', commits(200_000, 0.004, 0.01), true],
])('the verdict: %s', (words, measures, isMemory) => {
  expect(verdictOf(measures, isMemory)).toContain(words);
});

test('there is no verdict without commits', () => {
  expect(verdictOf([{ name: 'stream-read', rate: 1, latency: undefined }], false)).toBeUndefined();
});

test('a run is compared with the middle of earlier ones', () => {
  const runs = [commits(100, 1, 2), commits(1000, 1, 2), commits(110, 1, 2)];
  expect(compareRates(commits(55, 1, 2), usualRates(runs))).toEqual([
    { name: 'commit-8k', before: 110, now: 55, percent: -50 },
  ]);
  expect(compareRates(commits(55, 1, 2), [])).toEqual([]);
});

const means = { tool: 'fio-3.39', isQuick: false, isDirect: true, sizeBytes: 2 ** 30 };
const facts = { ...means, isMemory: false, memoryBytes: 8 * 2 ** 30, idlePercent: 80 };
const reads: Measure[] = [{ name: 'stream-read', rate: 5e9, latency: undefined }];

test('figures that cannot be true are told apart', () => {
  expect(warningsOf([...commits(100, 1, 2), ...reads], facts)).toEqual([]);
  expect(warningsOf(reads, { ...facts, isDirect: false })).toEqual([
    expect.stringContaining('lies in memory'),
  ]);
  expect(warningsOf(commits(200_000, 0.004, 0.01), facts)).toEqual([
    expect.stringContaining('cannot be true'),
  ]);
  expect(warningsOf(reads, { ...facts, idlePercent: 12 })).toEqual([expect.stringContaining('only 12%')]);
  expect(warningsOf([], { ...facts, tool: 'built-in' })).toEqual([
    expect.stringContaining('fio is not installed'),
  ]);
});
