/** What of volumes is decided, and may not be on the disk in full yet. */
export const unsettledVolumes = `
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
