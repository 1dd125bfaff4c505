import { expect, test } from 'vitest';
import type { AnomalyRecord } from '../model/policy-run.ts';
import { someSnapshot } from '../../test/fixtures/some-snapshot.ts';
import { type GateView, openGate } from './prune-gate.ts';

const forgotten = [
  {
    repositoryId: 'r',
    volumeIdentity: 'identity-of-pg',
    volumeName: 'pg',
    newest: '2026-01-10T00:00:00.000Z',
  },
];
const old = seen({ id: 'old', time: '2026-01-05T00:00:00Z' });
const newer = seen({ id: 'newer', time: '2026-01-11T00:00:00Z' });
const newest = seen({ id: 'newest', time: '2026-01-12T00:00:00+02:00' });
const anomaly: AnomalyRecord = {
  repositoryId: 'r',
  volumeIdentity: 'x',
  volumeName: 'x',
  snapshotId: 's',
  kind: 'shrank',
  message: 'shrank from 6 GB to 4 B',
  foundAt: '2026-01-12T00:00:00.000Z',
  acceptedAt: undefined,
};

test('old data is pruned only when a newer snapshot of its volume is verified', () => {
  const view = { anomalies: [], forgotten, snapshots: [old, newer, newest] };
  expect(openGate({ ...view, verified: new Set(['old']) }).unproven).toEqual(['newest']);
  expect(openGate({ ...view, verified: new Set(['newer']) })).toEqual({ refusal: undefined, unproven: [] });
});

test('a safety snapshot of a restore proves nothing', () => {
  const safety = seen({ id: 'safety', time: '2026-01-13T00:00:00Z', tags: ['before-restore'] });
  const gate = openGate({
    anomalies: [],
    forgotten,
    snapshots: [old, safety],
    verified: new Set(['safety']),
  });
  expect(gate.unproven).toEqual(['old']);
});

test('a volume whose snapshots the user removed needs no proof, nor does one of which nothing was forgotten', () => {
  expect(openGate({ anomalies: [], forgotten, snapshots: [], verified: new Set() }).unproven).toEqual([]);
  expect(openGate({ anomalies: [], forgotten: [], snapshots: [old], verified: new Set() }).unproven).toEqual(
    [],
  );
});

test('a snapshot of another machine in the same lineage proves nothing', () => {
  const other = { ...newest, isOwn: false };
  const gate = openGate({
    anomalies: [],
    forgotten,
    snapshots: [newer, other],
    verified: new Set(['newest']),
  });
  expect(gate.unproven).toEqual(['newer']);
});

test('snapshots of an engine that does not answer are verified before data is pruned', () => {
  const away = [old, newer].map((one) => ({ ...one, isOwn: false }));
  expect(openGate({ anomalies: [], forgotten, snapshots: away, verified: new Set() }).unproven).toEqual([
    'newer',
  ]);
});

test('an anomaly refuses a prune, whatever is verified', () => {
  const gate = openGate({
    anomalies: [anomaly, anomaly],
    forgotten,
    snapshots: [newest],
    verified: new Set(['newest']),
  });
  expect(gate.refusal).toBe('"x" shrank from 6 GB to 4 B, and 1 more; see "holdfast policy accept"');
});

function seen(given: Parameters<typeof someSnapshot>[0]): GateView['snapshots'][number] {
  return { ...someSnapshot(given), isOwn: true };
}
