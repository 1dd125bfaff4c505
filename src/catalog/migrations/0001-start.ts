/** Records of repositories, volumes and runs. Once released, a migration is never changed: a new one follows it. */
export const start = `
CREATE TABLE state (
  -- One row.
  key INTEGER PRIMARY KEY CHECK (key = 1),
  id TEXT NOT NULL
) STRICT;

INSERT INTO state (key, id) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE repository (
  name TEXT PRIMARY KEY,
  location TEXT NOT NULL,
  repository_id TEXT NOT NULL,
  password_reference TEXT NOT NULL,
  is_default INTEGER NOT NULL CHECK (is_default IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX repository_default ON repository (is_default) WHERE is_default = 1;

CREATE TABLE volume_identity (
  host_identity TEXT NOT NULL,
  name TEXT NOT NULL,
  identity TEXT NOT NULL,
  PRIMARY KEY (host_identity, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
  -- Grows with time: the newest run has the largest.
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  volume_identity TEXT NOT NULL,
  volume_name TEXT NOT NULL,
  repository_id TEXT NOT NULL,
  snapshot_id TEXT,
  outcome TEXT NOT NULL CHECK (outcome IN ('good', 'partial', 'failed', 'cancelled')),
  started_at TEXT NOT NULL,
  finished_at TEXT NOT NULL,
  message TEXT
) STRICT;

CREATE INDEX run_by_volume ON run (volume_identity, number);

CREATE TABLE embedded_volume (
  name TEXT PRIMARY KEY,
  driver TEXT NOT NULL,
  created_at TEXT NOT NULL,
  -- JSON objects of strings.
  labels TEXT NOT NULL,
  options TEXT NOT NULL,
  anonymous INTEGER NOT NULL CHECK (anonymous IN (0, 1))
) STRICT, WITHOUT ROWID;
`;
