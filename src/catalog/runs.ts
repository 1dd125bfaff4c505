import type { DatabaseSync } from 'node:sqlite';
import type { LogAnchor, NoticeRecord, RunRecord, UnwrittenLog, VerifiedSnapshots } from './catalog.ts';
import { number, oneOf, optionalText, text } from './row-fields.ts';
import { inTransaction } from './transaction.ts';

export function recordRun(database: DatabaseSync, run: RunRecord): void {
  database
    .prepare(
      `INSERT INTO run (volume_identity, volume_name, repository_id, snapshot_id, outcome, started_at, finished_at, message, grade, still_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      run.volumeIdentity,
      run.volumeName,
      run.repositoryId,
      run.snapshotId ?? null,
      run.outcome,
      run.startedAt,
      run.finishedAt,
      run.message ?? null,
      run.grade ?? null,
      run.stillMs ?? null,
    );
}

export function listRuns(
  database: DatabaseSync,
  { volumeIdentity, limit }: { readonly volumeIdentity?: string; readonly limit: number },
): RunRecord[] {
  const columns =
    'volume_identity, volume_name, repository_id, snapshot_id, outcome, started_at, finished_at, message';
  const rows =
    volumeIdentity === undefined
      ? database.prepare(`SELECT ${columns} FROM run ORDER BY number DESC LIMIT ?`).all(limit)
      : database
          .prepare(`SELECT ${columns} FROM run WHERE volume_identity = ? ORDER BY number DESC LIMIT ?`)
          .all(volumeIdentity, limit);
  return rows.map((row) => ({
    volumeIdentity: text(row, 'volume_identity'),
    volumeName: text(row, 'volume_name'),
    repositoryId: text(row, 'repository_id'),
    snapshotId: optionalText(row, 'snapshot_id'),
    outcome: oneOf(row, 'outcome', ['good', 'partial', 'failed', 'cancelled']),
    startedAt: text(row, 'started_at'),
    finishedAt: text(row, 'finished_at'),
    message: optionalText(row, 'message'),
  }));
}

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

export function findNotice(database: DatabaseSync, key: string): NoticeRecord | undefined {
  const row = database.prepare('SELECT * FROM notice WHERE key = ?').get(key);
  if (row === undefined) return undefined;
  return {
    key: text(row, 'key'),
    fingerprint: text(row, 'fingerprint'),
    count: number(row, 'count'),
    firstAt: text(row, 'first_at'),
    lastAt: text(row, 'last_at'),
    toldAt: text(row, 'told_at'),
    toldCount: number(row, 'told_count'),
  };
}

export function saveNotice(database: DatabaseSync, notice: NoticeRecord): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO notice (key, fingerprint, count, first_at, last_at, told_at, told_count)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      notice.key,
      notice.fingerprint,
      notice.count,
      notice.firstAt,
      notice.lastAt,
      notice.toldAt,
      notice.toldCount,
    );
}

export function removeNotice(database: DatabaseSync, key: string): void {
  database.prepare('DELETE FROM notice WHERE key = ?').run(key);
}

export function findLogAnchor(database: DatabaseSync): LogAnchor | undefined {
  const row = database.prepare('SELECT sequence, mac, seal FROM log_anchor').get();
  if (row === undefined) return undefined;
  return { sequence: number(row, 'sequence'), mac: text(row, 'mac'), seal: text(row, 'seal') };
}

export function setLogAnchor(database: DatabaseSync, { sequence, mac, seal }: LogAnchor): void {
  database
    .prepare('INSERT OR REPLACE INTO log_anchor (key, sequence, mac, seal) VALUES (1, ?, ?, ?)')
    .run(sequence, mac, seal);
  database.exec('DELETE FROM log_unwritten');
}

export function findUnwrittenLog(database: DatabaseSync): UnwrittenLog | undefined {
  const row = database.prepare('SELECT count, since FROM log_unwritten').get();
  return row === undefined ? undefined : { count: number(row, 'count'), since: text(row, 'since') };
}

export function noteUnwrittenLog(database: DatabaseSync, { count, since }: UnwrittenLog): void {
  database
    .prepare(
      `INSERT INTO log_unwritten (key, count, since) VALUES (1, ?, ?)
       ON CONFLICT (key) DO UPDATE SET count = count + excluded.count`,
    )
    .run(count, since);
}
