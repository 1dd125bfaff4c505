import { expect, test } from 'vitest';
import { isSlow, type Load, parseDiskstats } from './pressure.ts';

test('the counters of disks are read, and a line that is none is left out', () => {
  const text = '   8       1 sda1 10 0 80 100 5 0 40 50 2 120 150 0 0 0 0\nnothing\n';
  expect([...parseDiskstats(text)]).toEqual([
    ['8:1', { requests: 15, waitedMs: 150, busyMs: 120, queuedMs: 150 }],
  ]);
});

test('a busy disk is a fault only where programs wait for it, or when the question is why it is slow', () => {
  const busy: Load = { busy: 0.99, latencyMs: 0.5, queue: 1, perSecond: 2000 };
  expect(isSlow(busy, { waiting: 0, isAsked: false })).toBe(false);
  expect(isSlow(busy, { waiting: 60, isAsked: false })).toBe(true);
  expect(isSlow(busy, { waiting: 0, isAsked: true })).toBe(true);
  expect(isSlow({ ...busy, busy: 0.5 }, { waiting: 60, isAsked: true })).toBe(false);
});

test('a disk whose answers take a tenth of a second is slow, but not by a request alone', () => {
  const slow: Load = { busy: 0.3, latencyMs: 150, queue: 3, perSecond: 20 };
  expect(isSlow(slow, { waiting: 0, isAsked: false })).toBe(true);
  expect(isSlow({ ...slow, perSecond: 1 }, { waiting: 0, isAsked: false })).toBe(false);
});
