import { expect, test } from 'vitest';
import { addIo } from './io-totals.ts';
import type { TopReport, TopVolume } from './plan-top.ts';

const rates = { readBytes: 10.4, writtenBytes: 20, reads: 1, writes: 2 };

function report(...volumes: readonly Partial<TopVolume>[]): TopReport {
  const whole = volumes.map((one) => ({ name: 'pg', anonymous: false, rates, how: 'device', ...one }));
  return { seconds: 60, volumes: whole as TopVolume[], containers: [], pressure: undefined, notes: [] };
}

test('amounts of each interval are added up, by volume and by how they are known', () => {
  const first = addIo([], report({}, { name: 'web', how: 'shared' }));
  const both = addIo(first, report({}, { name: 'web', how: 'shared' }));
  expect(both).toEqual([
    { volume: 'pg', how: 'device', readBytes: 1248, writtenBytes: 2400, reads: 120, writes: 240 },
    { volume: 'web', how: 'shared', readBytes: 1248, writtenBytes: 2400, reads: 120, writes: 240 },
  ]);
});

test('a volume without figures keeps what it had, and one that is gone is forgotten', () => {
  const first = addIo([], report({}, { name: 'web' }));
  const later = addIo(first, report({ rates: undefined, how: undefined }));
  expect(later.map(({ volume, readBytes }) => [volume, readBytes])).toEqual([['pg', 624]]);
});

test('the sum of anonymous volumes never falls when one of them goes', () => {
  const first = addIo([], report({ name: 'a', anonymous: true }, { name: 'b', anonymous: true }));
  const later = addIo(first, report({ name: 'b', anonymous: true }));
  expect(later).toMatchObject([{ volume: undefined, readBytes: 1872 }]);
  expect(addIo(later, report())).toEqual(later);
});

test('operations stay unknown where only bytes are known', () => {
  const only = { readBytes: 1, writtenBytes: 1, reads: undefined, writes: undefined };
  expect(addIo([], report({ rates: only }))).toMatchObject([{ reads: undefined, writes: undefined }]);
});
