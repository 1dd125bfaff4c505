/** The snapshots that the last check of all data found whole. */
export const verifiedSnapshots = `
CREATE TABLE verified_snapshot (
  repository_id TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  verified_at TEXT NOT NULL,
  PRIMARY KEY (repository_id, snapshot_id)
) STRICT, WITHOUT ROWID;
`;
