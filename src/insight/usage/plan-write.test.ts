import { expect, test } from 'vitest';
import type { UsagePlace } from '../../catalog/catalog.ts';
import { type FoundPlace, planWrite, type WriteRequest } from './plan-write.ts';

const noon = Date.parse('2026-03-01T12:00:00Z');
const hourMs = 3_600_000;
const facts: Omit<FoundPlace, 'size'> = {
  ...{ kind: 'volume', name: 'pg', lineage: 'l', driver: 'local', stack: undefined, anonymous: false },
  ...{ disk: '/', capacityBytes: undefined, freeBytes: undefined, problem: undefined },
};
const size = { bytes: 10, files: 2, way: 'watched', atMs: noon } as const;
const found: FoundPlace = { ...facts, size };
const known: UsagePlace = {
  ...{ ...facts, bytes: 10, files: 2, way: 'watched', measuredAtMs: noon, growthBytesPerDay: 5 },
};

function plan(request: Partial<WriteRequest>) {
  const nowMs = request.nowMs ?? noon;
  const host = { identity: 'h', kind: 'docker', endpoint: '', lookedAtMs: nowMs } as const;
  const base = { host, lookedAtMs: noon, known: [known], found: [found], isAll: true, nowMs };
  return planWrite({ ...base, growthOf: () => 7, ...request });
}

test('without a change nothing is written, but that it was looked at every two minutes', () => {
  expect(plan({})).toBeUndefined();
  expect(
    plan({ nowMs: noon + 60_000, found: [{ ...facts, size: { ...size, atMs: noon + 60_000 } }] }),
  ).toBeUndefined();
  const later = noon + 120_000;
  expect(plan({ nowMs: later, found: [{ ...facts, size: { ...size, atMs: later } }] })).toMatchObject({
    ...{ host: { lookedAtMs: later }, places: [], samples: [], gone: [] },
  });
  // A clock that went back.
  expect(plan({ nowMs: noon - 1000 })).toMatchObject({ places: [] });
});

test('a change is written with its minute, and an hour with the growth', () => {
  const atMs = noon + 1000;
  const changed = plan({ found: [{ ...facts, size: { ...size, bytes: 11, atMs } }] });
  expect(changed?.places).toEqual([{ ...known, bytes: 11, measuredAtMs: atMs }]);
  expect(changed?.samples.map(({ spanSeconds }) => spanSeconds)).toEqual([60, 3600, 86_400]);
  const next = plan({ found: [{ ...facts, size: { ...size, atMs: noon + hourMs } }] });
  expect(next?.places).toEqual([{ ...known, measuredAtMs: noon + hourMs, growthBytesPerDay: 7 }]);
});

test('a volume that could not be measured keeps its last size, and says why', () => {
  const away = plan({ found: [{ ...facts, problem: 'it is not mounted now', size: undefined }] });
  expect(away?.places).toEqual([{ ...known, problem: 'it is not mounted now' }]);
  expect(away?.samples).toEqual([]);
});

test('a volume that is gone goes, unless not all were looked at, or its driver may be away', () => {
  expect(plan({ found: [] })?.gone).toEqual([{ kind: 'volume', name: 'pg' }]);
  expect(plan({ found: [], isAll: false })).toBeUndefined();
  const other = { ...known, driver: 'other/plugin' };
  expect(plan({ known: [other], found: [] })).toBeUndefined();
  expect(plan({ known: [other], found: [], nowMs: noon + 8 * 24 * hourMs })?.gone).toHaveLength(1);
});
