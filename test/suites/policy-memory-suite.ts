import { beforeEach, expect, test } from 'vitest';
import type { AnomalyRecord, PolicyCursor, PolicyRun, PolicyRunEnd } from '../../src/model/policy-run.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';

const policyRun: PolicyRun = {
  policy: 'nightly',
  action: 'backup',
  repository: '',
  subject: 'v1',
  name: 'pg',
  scheduledAt: '2026-01-31T03:00:00.000Z',
  startedAt: '2026-01-31T03:00:01.000Z',
};

const cursor: PolicyCursor = {
  task: 't1',
  schedule: '0 3 * * *',
  handledUntil: '2026-01-30T03:00:00.000Z',
  dueAt: policyRun.scheduledAt,
  attempts: 1,
  retryAt: undefined,
};

const end: PolicyRunEnd = {
  endedAt: '2026-01-31T03:01:00.000Z',
  outcome: 'good',
  snapshotId: 's1',
  message: undefined,
};

/**
 * The contract of catalogs for policies and their findings. `current` returns the catalog of a test, which is
 * empty.
 */
export function testPolicyMemory(current: () => Catalog): void {
  let catalog: Catalog;

  beforeEach(() => {
    catalog = current();
  });

  test('a policy run is open from its beginning to its end, and ends once', () => {
    const { policies } = catalog;
    const number = policies.beginRun(policyRun, cursor);
    expect(policies.listRuns({ open: true, limit: 9 })).toEqual([{ ...policyRun, number, end: undefined }]);
    expect(policies.listCursors()).toEqual([cursor]);
    const settled = { ...cursor, handledUntil: policyRun.scheduledAt, dueAt: undefined, attempts: 0 };
    policies.endRun(number, end, settled);
    policies.endRun(number, { ...end, outcome: 'interrupted' }, undefined);
    expect(policies.listRuns({ open: true, limit: 9 })).toEqual([]);
    expect(policies.listRuns({ policy: 'nightly', limit: 9 })).toEqual([{ ...policyRun, number, end }]);
    expect(policies.listRuns({ policy: 'other', limit: 9 })).toEqual([]);
    expect(policies.listCursors()).toEqual([settled]);
  });

  test('an anomaly is open until it is accepted, however often it is found', () => {
    const { policies } = catalog;
    const anomaly: AnomalyRecord = {
      repositoryId: 'r1',
      volumeIdentity: 'v1',
      volumeName: 'pg',
      snapshotId: 's1',
      kind: 'noise',
      message: 'turned to noise',
      foundAt: end.endedAt,
      acceptedAt: undefined,
    };
    policies.recordAnomaly(anomaly);
    policies.acceptAnomalies('v2', end.endedAt);
    expect(policies.listOpenAnomalies()).toEqual([anomaly]);
    policies.acceptAnomalies('v1', end.endedAt);
    policies.recordAnomaly(anomaly);
    expect(policies.listOpenAnomalies()).toEqual([]);
  });

  test('the newest forgotten snapshot of each volume is remembered until the repository is pruned', () => {
    const { policies } = catalog;
    const forgotten = { repositoryId: 'r1', volumeIdentity: 'v1', volumeName: 'pg', newest: end.endedAt };
    policies.noteForgotten(forgotten);
    policies.noteForgotten({ ...forgotten, newest: '2026-01-01T00:00:00.000Z' });
    policies.noteForgotten({ ...forgotten, repositoryId: 'r2' });
    expect(policies.listForgotten('r1')).toEqual([forgotten]);
    policies.clearForgotten([forgotten]);
    expect(policies.listForgotten('r1')).toEqual([]);
    expect(policies.listForgotten('r2')).toHaveLength(1);
    const later = { ...forgotten, newest: '2999-01-01T00:00:00.000Z' };
    policies.noteForgotten(later);
    policies.clearForgotten([forgotten]);
    expect(policies.listForgotten('r1')).toEqual([later]);
  });
}
