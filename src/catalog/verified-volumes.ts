import type { DatabaseSync } from 'node:sqlite';
import type { VerifiedVolume } from './catalog.ts';
import { text } from './row-fields.ts';

/** By the runs that saved the verified snapshots: the list of verified ones has no volumes. */
export function listVerifiedVolumes(database: DatabaseSync): VerifiedVolume[] {
  return database
    .prepare(
      `SELECT run.volume_identity, run.repository_id, max(verified_at) AS verified_at
       FROM verified_snapshot JOIN run ON run.snapshot_id = verified_snapshot.snapshot_id
         AND run.repository_id = verified_snapshot.repository_id
       GROUP BY run.volume_identity, run.repository_id`,
    )
    .all()
    .map((row) => ({
      volumeIdentity: text(row, 'volume_identity'),
      repositoryId: text(row, 'repository_id'),
      verifiedAt: text(row, 'verified_at'),
    }));
}
