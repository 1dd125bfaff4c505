import type { DatabaseSync } from 'node:sqlite';
import { policyActions, type PolicyRun } from '../model/policy-run.ts';
import type { PolicyAnswer } from './catalog.ts';
import { number, oneOf, optionalText, text } from './row-fields.ts';

/** Longer than the gap of any useful schedule; after that the task is gone, or its volume is. */
const keptMs = 3 * 366 * 86_400_000;
/** So many are kept whatever their age: a clock that jumps ahead for a moment wipes nothing. */
const keptAlways = 10_000;

/**
 * Inside a transaction. A run by hand has no schedule, and leaves the known one. A time that lies more
 * than an hour ahead of the run was written by a wrong clock.
 */
export function notePolicyBegun(database: DatabaseSync, run: PolicyRun, schedule: string | undefined): void {
  const { policy, action, repository, subject, scheduledAt, startedAt } = run;
  database
    .prepare(
      `INSERT INTO policy_answer (policy, action, repository, subject, schedule, since, tried_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         since = CASE WHEN julianday(since) <= julianday(excluded.tried_at, '+1 hour')
           AND (excluded.schedule IS NULL OR schedule IS excluded.schedule)
           THEN since ELSE excluded.since END,
         schedule = coalesce(excluded.schedule, schedule),
         tried_at = excluded.tried_at`,
    )
    .run(policy, action, repository, subject, schedule ?? null, scheduledAt, startedAt);
  const oldest = new Date(Date.parse(startedAt) - keptMs).toISOString();
  database
    .prepare('DELETE FROM policy_answer WHERE tried_at < ? AND (SELECT count(*) FROM policy_answer) > ?')
    .run(oldest, keptAlways);
}

/** Inside the transaction in which that run ended well. */
export function notePolicyGood(database: DatabaseSync, run: number): void {
  database
    .prepare(
      `UPDATE policy_answer SET
         scheduled_at = CASE WHEN julianday(policy_answer.scheduled_at) > julianday(run.ended_at, '+1 hour') THEN run.scheduled_at
           ELSE max(coalesce(policy_answer.scheduled_at, ''), run.scheduled_at) END,
         ended_at = run.ended_at, snapshot_id = run.snapshot_id
       FROM (SELECT * FROM policy_run WHERE number = ?) AS run
       WHERE policy_answer.policy = run.policy AND policy_answer.action = run.action
         AND policy_answer.repository = run.repository AND policy_answer.subject = run.subject`,
    )
    .run(run);
}

export function listPolicyAnswers(database: DatabaseSync): PolicyAnswer[] {
  return database
    .prepare(
      `SELECT policy_answer.*, run.grade, run.still_ms FROM policy_answer LEFT JOIN run
         ON run.number = (SELECT max(number) FROM run WHERE run.snapshot_id = policy_answer.snapshot_id)`,
    )
    .all()
    .map((row) => {
      const endedAt = optionalText(row, 'ended_at');
      return {
        policy: text(row, 'policy'),
        action: oneOf(row, 'action', policyActions),
        repository: text(row, 'repository'),
        subject: text(row, 'subject'),
        schedule: optionalText(row, 'schedule'),
        since: text(row, 'since'),
        good:
          endedAt === undefined
            ? undefined
            : {
                scheduledAt: text(row, 'scheduled_at'),
                endedAt,
                snapshotId: optionalText(row, 'snapshot_id'),
                grade: optionalText(row, 'grade'),
                stillMs: row['still_ms'] === null ? undefined : number(row, 'still_ms'),
              },
      };
    });
}
