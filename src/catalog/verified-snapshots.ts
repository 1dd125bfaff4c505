import type { DatabaseSync } from 'node:sqlite';
import type { VerifiedSnapshots } from './catalog.ts';
import { text } from './row-fields.ts';
import { inTransaction } from './transaction.ts';

export function listVerifiedSnapshots(database: DatabaseSync, repositoryId: string): string[] {
  const rows = database
    .prepare('SELECT snapshot_id FROM verified_snapshot WHERE repository_id = ? ORDER BY snapshot_id')
    .all(repositoryId);
  return rows.map((row) => text(row, 'snapshot_id'));
}

export function setVerifiedSnapshots(
  database: DatabaseSync,
  repositoryId: string,
  { snapshotIds, verifiedAt }: VerifiedSnapshots,
): void {
  inTransaction(database, () => {
    database.prepare('DELETE FROM verified_snapshot WHERE repository_id = ?').run(repositoryId);
    const insert = database.prepare(
      'INSERT OR IGNORE INTO verified_snapshot (repository_id, snapshot_id, verified_at) VALUES (?, ?, ?)',
    );
    for (const id of snapshotIds) insert.run(repositoryId, id, verifiedAt);
  });
}

export function noteVerifiedSnapshots(
  database: DatabaseSync,
  repositoryId: string,
  { snapshotIds, damagedIds, verifiedAt }: VerifiedSnapshots & { readonly damagedIds: readonly string[] },
): void {
  inTransaction(database, () => {
    const insert = database.prepare(
      'INSERT OR REPLACE INTO verified_snapshot (repository_id, snapshot_id, verified_at) VALUES (?, ?, ?)',
    );
    for (const id of snapshotIds) insert.run(repositoryId, id, verifiedAt);
    const remove = database.prepare(
      'DELETE FROM verified_snapshot WHERE repository_id = ? AND snapshot_id = ?',
    );
    for (const id of damagedIds) remove.run(repositoryId, id);
  });
}

export function renameVerifiedSnapshot(
  database: DatabaseSync,
  repositoryId: string,
  { from, to }: { readonly from: string; readonly to: string },
): void {
  database
    .prepare(
      'UPDATE OR REPLACE verified_snapshot SET snapshot_id = ? WHERE repository_id = ? AND snapshot_id = ?',
    )
    .run(to, repositoryId, from);
}
