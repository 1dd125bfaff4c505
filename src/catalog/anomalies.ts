import type { DatabaseSync } from 'node:sqlite';
import { anomalyKinds, type AnomalyRecord } from '../model/policy-run.ts';
import { oneOf, optionalText, text } from './row-fields.ts';

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

export function acceptAnomalies(
  database: DatabaseSync,
  accepted: { readonly volumeIdentity: string; readonly at: string },
): void {
  database
    .prepare('UPDATE anomaly SET accepted_at = ? WHERE volume_identity = ? AND accepted_at IS NULL')
    .run(accepted.at, accepted.volumeIdentity);
}
