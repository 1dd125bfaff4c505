/** What policies ran, how far they have come, and what keeps old data from being pruned. Times are RFC 3339 in UTC. */
export const policies = `
CREATE TABLE policy_run (
  -- Grows with time.
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  policy TEXT NOT NULL,
  action TEXT NOT NULL,
  repository TEXT NOT NULL,
  subject TEXT NOT NULL,
  name TEXT NOT NULL,
  scheduled_at TEXT NOT NULL,
  started_at TEXT NOT NULL,
  -- Null while it runs, and after a kill.
  ended_at TEXT,
  outcome TEXT,
  snapshot_id TEXT,
  message TEXT,
  CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX policy_run_open ON policy_run (number) WHERE ended_at IS NULL;
CREATE INDEX policy_run_by_policy ON policy_run (policy, number);

CREATE TABLE policy_cursor (
  task TEXT PRIMARY KEY,
  schedule TEXT NOT NULL,
  handled_until TEXT NOT NULL,
  due_at TEXT,
  attempts INTEGER NOT NULL,
  retry_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE anomaly (
  repository_id TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  volume_identity TEXT NOT NULL,
  volume_name TEXT NOT NULL,
  message TEXT NOT NULL,
  found_at TEXT NOT NULL,
  accepted_at TEXT,
  PRIMARY KEY (repository_id, snapshot_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten (
  repository_id TEXT NOT NULL,
  volume_identity TEXT NOT NULL,
  volume_name TEXT NOT NULL,
  newest TEXT NOT NULL,
  PRIMARY KEY (repository_id, volume_identity)
) STRICT, WITHOUT ROWID;
`;
