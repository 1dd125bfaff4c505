import type { DatabaseSync } from 'node:sqlite';
import type { PolicyCursor } from '../model/policy-run.ts';
import { number, optionalText, text } from './row-fields.ts';

export function listPolicyCursors(database: DatabaseSync): PolicyCursor[] {
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

export function savePolicyCursors(database: DatabaseSync, cursors: readonly PolicyCursor[]): void {
  const save = database.prepare(
    `INSERT OR REPLACE INTO policy_cursor (task, schedule, handled_until, due_at, attempts, retry_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
  );
  for (const { task, schedule, handledUntil, dueAt, attempts, retryAt } of cursors)
    save.run(task, schedule, handledUntil, dueAt ?? null, attempts, retryAt ?? null);
}
