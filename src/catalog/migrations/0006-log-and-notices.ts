/** Where the log ends, and what was notified of what still lasts. */
export const logAndNotices = `
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
