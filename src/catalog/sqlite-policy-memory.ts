import type { DatabaseSync } from 'node:sqlite';
import {
  anomalyKinds,
  type AnomalyRecord,
  type ForgottenRecord,
  policyActions,
  type PolicyCursor,
  policyOutcomes,
  type PolicyRun,
  type PolicyRunEnd,
  type PolicyRunRecord,
} from '../model/policy-run.ts';
import type { PolicyMemory, PolicyRunFilter } from './catalog.ts';
import { listPolicyAnswers, notePolicyBegun, notePolicyGood } from './policy-answers.ts';
import { number, oneOf, optionalText, type Row, text } from './row-fields.ts';
import { inTransaction } from './transaction.ts';

/** `run` turns SQLite's errors into the user's. */
export function sqlitePolicyMemory(run: <T>(operation: (database: DatabaseSync) => T) => T): PolicyMemory {
  return {
    beginRun: (begun, cursor) => run((database) => beginPolicyRun(database, begun, cursor)),
    endRun: (begun, end, cursor) => run((database) => endPolicyRun(database, { number: begun, end, cursor })),
    listRuns: (filter) => run((database) => listPolicyRuns(database, filter)),
    listAnswers: () => run(listPolicyAnswers),
    listCursors: () => run(listPolicyCursors),
    saveCursors: (cursors) =>
      run((database) => inTransaction(database, () => savePolicyCursors(database, cursors))),
    recordAnomaly: (anomaly) => run((database) => recordAnomaly(database, anomaly)),
    listOpenAnomalies: () => run(listOpenAnomalies),
    acceptAnomalies: (volumeIdentity, at) =>
      run((database) => acceptAnomalies(database, { volumeIdentity, at })),
    noteForgotten: (forgotten) => run((database) => noteForgotten(database, forgotten)),
    listForgotten: (repositoryId) => run((database) => listForgotten(database, repositoryId)),
    clearForgotten: (forgotten) => run((database) => clearForgotten(database, forgotten)),
  };
}

/** Limit of the history: years for a few policies, some weeks for very many. */
const keptRuns = 50_000;

function beginPolicyRun(database: DatabaseSync, run: PolicyRun, cursor: PolicyCursor | undefined): number {
  return inTransaction(database, () => {
    const { lastInsertRowid } = database
      .prepare(
        `INSERT INTO policy_run (policy, action, repository, subject, name, scheduled_at, started_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(run.policy, run.action, run.repository, run.subject, run.name, run.scheduledAt, run.startedAt);
    const begun = Number(lastInsertRowid);
    database.prepare('DELETE FROM policy_run WHERE number <= ?').run(begun - keptRuns);
    notePolicyBegun(database, run, cursor?.schedule);
    if (cursor !== undefined) savePolicyCursors(database, [cursor]);
    return begun;
  });
}

interface EndedPolicyRun {
  readonly number: number;
  readonly end: PolicyRunEnd;
  readonly cursor: PolicyCursor | undefined;
}

function endPolicyRun(database: DatabaseSync, { number: begun, end, cursor }: EndedPolicyRun): void {
  inTransaction(database, () => {
    const { changes } = database
      .prepare(
        'UPDATE policy_run SET ended_at = ?, outcome = ?, snapshot_id = ?, message = ? WHERE number = ? AND ended_at IS NULL',
      )
      .run(end.endedAt, end.outcome, end.snapshotId ?? null, end.message ?? null, begun);
    if (changes > 0 && end.outcome === 'good') notePolicyGood(database, begun);
    if (cursor !== undefined) savePolicyCursors(database, [cursor]);
  });
}

function listPolicyRuns(database: DatabaseSync, filter: PolicyRunFilter): PolicyRunRecord[] {
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

function listPolicyCursors(database: DatabaseSync): PolicyCursor[] {
  return database
    .prepare('SELECT * FROM policy_cursor ORDER BY task')
    .all()
    .map((row) => ({
      task: text(row, 'task'),
      schedule: text(row, 'schedule'),
      handledUntil: text(row, 'handled_until'),
      dueAt: optionalText(row, 'due_at'),
      attempts: number(row, 'attempts'),
      retryAt: optionalText(row, 'retry_at'),
    }));
}

function savePolicyCursors(database: DatabaseSync, cursors: readonly PolicyCursor[]): void {
  const save = database.prepare(
    `INSERT OR REPLACE INTO policy_cursor (task, schedule, handled_until, due_at, attempts, retry_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
  );
  for (const { task, schedule, handledUntil, dueAt, attempts, retryAt } of cursors)
    save.run(task, schedule, handledUntil, dueAt ?? null, attempts, retryAt ?? null);
}

export function recordAnomaly(database: DatabaseSync, anomaly: AnomalyRecord): void {
  database
    .prepare(
      `INSERT OR IGNORE INTO anomaly
         (repository_id, snapshot_id, kind, volume_identity, volume_name, message, found_at, accepted_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      anomaly.repositoryId,
      anomaly.snapshotId,
      anomaly.kind,
      anomaly.volumeIdentity,
      anomaly.volumeName,
      anomaly.message,
      anomaly.foundAt,
      anomaly.acceptedAt ?? null,
    );
}

export function listOpenAnomalies(database: DatabaseSync): AnomalyRecord[] {
  return database
    .prepare('SELECT * FROM anomaly WHERE accepted_at IS NULL ORDER BY found_at, volume_name, kind')
    .all()
    .map((row) => ({
      repositoryId: text(row, 'repository_id'),
      volumeIdentity: text(row, 'volume_identity'),
      volumeName: text(row, 'volume_name'),
      snapshotId: text(row, 'snapshot_id'),
      kind: oneOf(row, 'kind', anomalyKinds),
      message: text(row, 'message'),
      foundAt: text(row, 'found_at'),
      acceptedAt: optionalText(row, 'accepted_at'),
    }));
}

function acceptAnomalies(
  database: DatabaseSync,
  accepted: { readonly volumeIdentity: string; readonly at: string },
): void {
  database
    .prepare('UPDATE anomaly SET accepted_at = ? WHERE volume_identity = ? AND accepted_at IS NULL')
    .run(accepted.at, accepted.volumeIdentity);
}

/** Times are compared as text: RFC 3339 in UTC with milliseconds, as `toISOString` writes them. */
export function noteForgotten(database: DatabaseSync, forgotten: ForgottenRecord): void {
  database
    .prepare(
      `INSERT INTO forgotten (repository_id, volume_identity, volume_name, newest) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET newest = max(newest, excluded.newest), volume_name = excluded.volume_name`,
    )
    .run(forgotten.repositoryId, forgotten.volumeIdentity, forgotten.volumeName, forgotten.newest);
}

function listForgotten(database: DatabaseSync, repositoryId: string): ForgottenRecord[] {
  return database
    .prepare('SELECT * FROM forgotten WHERE repository_id = ? ORDER BY volume_name')
    .all(repositoryId)
    .map(recordOf);
}

export function listAllForgotten(database: DatabaseSync): ForgottenRecord[] {
  return database
    .prepare('SELECT * FROM forgotten ORDER BY repository_id, volume_identity')
    .all()
    .map(recordOf);
}

function recordOf(row: Row): ForgottenRecord {
  return {
    repositoryId: text(row, 'repository_id'),
    volumeIdentity: text(row, 'volume_identity'),
    volumeName: text(row, 'volume_name'),
    newest: text(row, 'newest'),
  };
}

function clearForgotten(database: DatabaseSync, forgotten: readonly ForgottenRecord[]): void {
  const statement = database.prepare(
    'DELETE FROM forgotten WHERE repository_id = ? AND volume_identity = ? AND newest = ?',
  );
  inTransaction(database, () => {
    for (const { repositoryId, volumeIdentity, newest } of forgotten)
      statement.run(repositoryId, volumeIdentity, newest);
  });
}
