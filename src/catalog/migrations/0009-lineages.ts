/** What lineages of snapshots have to do with other machines. */
export const lineages = `
CREATE TABLE lineage_origin (
  identity TEXT PRIMARY KEY,
  -- The lineage that it continues; null where the lineage itself is another machine's that this one has taken over.
  continues TEXT,
  -- That machine's name, for people.
  host_name TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;
