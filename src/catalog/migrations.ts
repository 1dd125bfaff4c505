/** Records of repositories, volumes and runs. A released migration is never changed: a new one follows it. */
const start = `
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

/** Options of a repository's store, as a JSON object of strings; secrets are references in it. */
const repositoryOptions = `
ALTER TABLE repository ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
`;

/** The snapshots that the last check of all data found intact. */
const verifiedSnapshots = `
CREATE TABLE verified_snapshot (
  repository_id TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  verified_at TEXT NOT NULL,
  PRIMARY KEY (repository_id, snapshot_id)
) STRICT, WITHOUT ROWID;
`;

/**
 * The runs of policies, their progress, and what keeps old data from being pruned. Times are RFC 3339 in UTC.
 */
const policies = `
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

/** The end of the log, and notifications of lasting problems. */
const logAndNotices = `
CREATE TABLE log_anchor (
  -- One row.
  key INTEGER PRIMARY KEY CHECK (key = 1),
  sequence INTEGER NOT NULL,
  mac TEXT NOT NULL,
  seal TEXT NOT NULL
) STRICT;

CREATE TABLE log_unwritten (
  -- One row.
  key INTEGER PRIMARY KEY CHECK (key = 1),
  count INTEGER NOT NULL,
  since TEXT NOT NULL
) STRICT;

CREATE TABLE notice (
  key TEXT PRIMARY KEY,
  -- What tells one failure from another.
  fingerprint TEXT NOT NULL,
  count INTEGER NOT NULL,
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  told_at TEXT NOT NULL,
  told_count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;

/** Holds on mounted volumes, protected volumes, and renames under way. Times are RFC 3339 in UTC. */
const managedVolumes = `
CREATE TABLE volume_hold (
  volume TEXT NOT NULL,
  id TEXT NOT NULL,
  -- The kernel's boot id: what was held before the machine started anew is held no more.
  boot TEXT NOT NULL,
  held_at TEXT NOT NULL,
  PRIMARY KEY (volume, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE volume_protection (
  host_identity TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (host_identity, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE volume_rename (
  old_name TEXT PRIMARY KEY,
  new_name TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
`;

/** Changes to volumes that are committed, and may not be complete on disk. */
const unsettledVolumes = `
-- The kernel's boot id when its directories were made, until they are known to be on the disk; null for a settled one.
ALTER TABLE embedded_volume ADD COLUMN unsettled_boot TEXT;
-- Tells the making of one volume from that of a later one of the same name.
ALTER TABLE embedded_volume ADD COLUMN unsettled_token TEXT;

CREATE TABLE volume_removal (
  -- The folder's name in the trash.
  entry TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  -- The folder's inode and time of birth: what has the volume's name later is another.
  folder TEXT NOT NULL,
  -- A JSON object: what lies beside the data in the trash.
  mark TEXT NOT NULL,
  boot TEXT NOT NULL,
  -- The boot id of its making, if its directories were not known to be on the disk.
  made_in TEXT
) STRICT, WITHOUT ROWID;
`;

/** How lineages of snapshots relate to other machines. */
const lineages = `
CREATE TABLE lineage_origin (
  identity TEXT PRIMARY KEY,
  -- The lineage that it continues; null where the lineage itself is another machine's that this one has taken over.
  continues TEXT,
  -- That machine's name, for people.
  host_name TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

/**
 * Sizes of volumes and of the disks that they lie on, with a bounded history, and the last drills. Times are
 * milliseconds since 1970, and seconds in samples.
 */
const usage = `
CREATE TABLE usage_host (
  identity TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  looked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_place (
  number INTEGER PRIMARY KEY,
  host_identity TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('volume', 'disk')),
  -- The volume's, or the path where the disk is mounted.
  name TEXT NOT NULL,
  lineage TEXT,
  driver TEXT,
  stack TEXT,
  anonymous INTEGER NOT NULL CHECK (anonymous IN (0, 1)),
  disk TEXT,
  bytes INTEGER,
  files INTEGER,
  capacity INTEGER,
  free INTEGER,
  measured_at INTEGER,
  way TEXT,
  problem TEXT,
  -- Bytes a day.
  growth INTEGER,
  UNIQUE (host_identity, kind, name)
) STRICT;

CREATE TABLE usage_sample (
  place INTEGER NOT NULL REFERENCES usage_place (number) ON DELETE CASCADE,
  -- The length of the span in seconds: a minute, an hour, a day.
  span INTEGER NOT NULL,
  -- When the span begins.
  bucket INTEGER NOT NULL,
  -- When the last size in it was measured.
  at INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (place, span, bucket)
) STRICT, WITHOUT ROWID;

-- The last drill of each volume with each outcome.
CREATE TABLE drill (
  volume_identity TEXT NOT NULL,
  outcome TEXT NOT NULL,
  snapshot_id TEXT NOT NULL,
  snapshot_time TEXT NOT NULL,
  drilled_at TEXT NOT NULL,
  recover_ms INTEGER,
  PRIMARY KEY (volume_identity, outcome)
) STRICT, WITHOUT ROWID;
`;

/** What reports need beyond the bounded history of runs: what answered each task last, and benchmarks. */
const insight = `
CREATE TABLE policy_answer (
  policy TEXT NOT NULL,
  action TEXT NOT NULL,
  repository TEXT NOT NULL,
  subject TEXT NOT NULL,
  -- The schedule by which it runs; null when it only ran by hand.
  schedule TEXT,
  -- The first time by that schedule that was begun.
  since TEXT NOT NULL,
  tried_at TEXT NOT NULL,
  -- Of the newest good run; null before the first.
  scheduled_at TEXT,
  ended_at TEXT,
  snapshot_id TEXT,
  PRIMARY KEY (policy, action, repository, subject)
) STRICT, WITHOUT ROWID;

INSERT INTO policy_answer (policy, action, repository, subject, since, tried_at)
  SELECT policy, action, repository, subject, min(scheduled_at), max(started_at)
  FROM policy_run GROUP BY policy, action, repository, subject;
UPDATE policy_answer SET scheduled_at = good.scheduled_at, ended_at = good.ended_at, snapshot_id = good.snapshot_id
  FROM (
    SELECT policy, action, repository, subject, scheduled_at, ended_at, snapshot_id, max(number)
    FROM policy_run WHERE outcome = 'good' GROUP BY policy, action, repository, subject
  ) AS good
  WHERE good.policy = policy_answer.policy AND good.action = policy_answer.action
    AND good.repository = policy_answer.repository AND good.subject = policy_answer.subject;

-- How still the data was, and for how long containers were.
ALTER TABLE run ADD COLUMN grade TEXT;
ALTER TABLE run ADD COLUMN still_ms REAL;
CREATE INDEX run_by_snapshot ON run (snapshot_id) WHERE snapshot_id IS NOT NULL;

CREATE TABLE volume_benchmark (
  -- Grows with time.
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  volume_identity TEXT NOT NULL,
  volume_name TEXT NOT NULL,
  profile TEXT NOT NULL,
  ran_at TEXT NOT NULL,
  -- JSON: the measured numbers, and what they were measured with.
  result TEXT NOT NULL
) STRICT;

CREATE INDEX volume_benchmark_by_volume ON volume_benchmark (volume_identity, profile, number);
`;

/** What was last found out about each repository. Times are RFC 3339 in UTC. */
const repositoryStates = `
CREATE TABLE repository_state (
  repository_id TEXT PRIMARY KEY,
  noted_at TEXT NOT NULL,
  -- Bytes of all packs.
  size INTEGER,
  size_at TEXT,
  unused INTEGER,
  unused_at TEXT,
  good_check_at TEXT,
  failed_check_at TEXT
) STRICT, WITHOUT ROWID;
`;

/** Which of several engines the sizes are of. */
const usageEndpoint = `
-- The engine's address; empty for managed volumes, null until a version that notes it has looked.
ALTER TABLE usage_host ADD COLUMN endpoint TEXT;
UPDATE usage_host SET endpoint = '' WHERE kind = 'embedded';
`;

/** In order; the catalog's version is the number of migrations applied. Append only. */
export const migrations: readonly string[] = [
  start,
  repositoryOptions,
  verifiedSnapshots,
  policies,
  logAndNotices,
  managedVolumes,
  unsettledVolumes,
  lineages,
  usage,
  insight,
  repositoryStates,
  usageEndpoint,
];
