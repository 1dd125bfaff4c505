import type { DatabaseSync } from 'node:sqlite';
import type { RunRecord } from './catalog.ts';
import { oneOf, optionalText, text } from './row-fields.ts';

export function recordRun(database: DatabaseSync, run: RunRecord): void {
  database
    .prepare(
      `INSERT INTO run (volume_identity, volume_name, repository_id, snapshot_id, outcome, started_at, finished_at, message)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
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
