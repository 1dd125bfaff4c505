import type { DatabaseSync } from 'node:sqlite';
import type { ForgottenRecord } from '../model/policy-run.ts';
import { inTransaction } from './transaction.ts';
import { type Row, text } from './row-fields.ts';

/** Times are compared as texts: RFC 3339 in UTC with milliseconds, as `toISOString` writes them. */
export function noteForgotten(database: DatabaseSync, forgotten: ForgottenRecord): void {
  database
    .prepare(
      `INSERT INTO forgotten (repository_id, volume_identity, volume_name, newest) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET newest = max(newest, excluded.newest), volume_name = excluded.volume_name`,
    )
    .run(forgotten.repositoryId, forgotten.volumeIdentity, forgotten.volumeName, forgotten.newest);
}

export function listForgotten(database: DatabaseSync, repositoryId: string): ForgottenRecord[] {
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

export function clearForgotten(database: DatabaseSync, forgotten: readonly ForgottenRecord[]): void {
  const statement = database.prepare(
    'DELETE FROM forgotten WHERE repository_id = ? AND volume_identity = ? AND newest = ?',
  );
  inTransaction(database, () => {
    for (const { repositoryId, volumeIdentity, newest } of forgotten)
      statement.run(repositoryId, volumeIdentity, newest);
  });
}
