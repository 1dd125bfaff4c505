/** Who holds a volume mounted, which volumes must stay, and renames that are under way. Times are RFC 3339 in UTC. */
export const managedVolumes = `
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
