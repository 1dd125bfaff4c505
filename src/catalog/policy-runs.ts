import type { DatabaseSync } from 'node:sqlite';
import type { PolicyRunFilter } from './catalog.ts';
import {
  policyActions,
  policyOutcomes,
  type PolicyCursor,
  type PolicyRun,
  type PolicyRunEnd,
  type PolicyRunRecord,
} from '../model/policy-run.ts';
import { savePolicyCursors } from './policy-cursors.ts';
import { oneOf, number, optionalText, type Row, text } from './row-fields.ts';
import { inTransaction } from './transaction.ts';

/** History that is kept: years of a few policies, some weeks of very many. */
const keptRuns = 50_000;

export function beginPolicyRun(
  database: DatabaseSync,
  run: PolicyRun,
  cursor: PolicyCursor | undefined,
): number {
  return inTransaction(database, () => {
    const { lastInsertRowid } = database
      .prepare(
        `INSERT INTO policy_run (policy, action, repository, subject, name, scheduled_at, started_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(run.policy, run.action, run.repository, run.subject, run.name, run.scheduledAt, run.startedAt);
    const begun = Number(lastInsertRowid);
    database.prepare('DELETE FROM policy_run WHERE number <= ?').run(begun - keptRuns);
    if (cursor !== undefined) savePolicyCursors(database, [cursor]);
    return begun;
  });
}

export interface EndedPolicyRun {
  readonly number: number;
  readonly end: PolicyRunEnd;
  readonly cursor: PolicyCursor | undefined;
}

export function endPolicyRun(database: DatabaseSync, { number: begun, end, cursor }: EndedPolicyRun): void {
  inTransaction(database, () => {
    database
      .prepare(
        'UPDATE policy_run SET ended_at = ?, outcome = ?, snapshot_id = ?, message = ? WHERE number = ? AND ended_at IS NULL',
      )
      .run(end.endedAt, end.outcome, end.snapshotId ?? null, end.message ?? null, begun);
    if (cursor !== undefined) savePolicyCursors(database, [cursor]);
  });
}

export function listPolicyRuns(database: DatabaseSync, filter: PolicyRunFilter): PolicyRunRecord[] {
  const conditions = [
    ...(filter.policy === undefined ? [] : ['policy = ?']),
    ...(filter.open === true ? ['ended_at IS NULL'] : []),
  ];
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows = database
    .prepare(`SELECT * FROM policy_run ${where} ORDER BY number DESC LIMIT ?`)
    .all(...(filter.policy === undefined ? [] : [filter.policy]), filter.limit);
  return rows.map(readRun);
}

function readRun(row: Row): PolicyRunRecord {
  const endedAt = optionalText(row, 'ended_at');
  return {
    number: number(row, 'number'),
    policy: text(row, 'policy'),
    action: oneOf(row, 'action', policyActions),
    repository: text(row, 'repository'),
    subject: text(row, 'subject'),
    name: text(row, 'name'),
    scheduledAt: text(row, 'scheduled_at'),
    startedAt: text(row, 'started_at'),
    end:
      endedAt === undefined
        ? undefined
        : {
            endedAt,
            outcome: oneOf(row, 'outcome', policyOutcomes),
            snapshotId: optionalText(row, 'snapshot_id'),
            message: optionalText(row, 'message'),
          },
  };
}
