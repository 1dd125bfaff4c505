/**
 * Each work on a volume, by its words in messages ("Cannot ${work} …", "It began to ${work} it"), and what it
 * holds of the volume:
 *
 * - `data`: held alone by works that change what a reader sees, shared by works that need it unchanged.
 * - `turn`: one at a time among the works that hold it. Versions before this table know only this, and take it
 *   for every exclusion.
 *
 * Two works exclude each other where one holds alone what the other holds; otherwise they run side by side.
 *
 * Not in the table, because they must go on during any work: looking (`inspect`, `ls`, `du`, `browse`,
 * `cat`), changes to the record alone (labels, protection), and mounts, which `in-use` protects.
 */
export const works = {
  // It reads for long, and a second one would read the same. Others may read meanwhile.
  'back up': { turn: 'alone', data: 'shared' },
  // The data is replaced or overwritten: a reader would get half of each.
  restore: { turn: 'alone', data: 'alone' },
  'undo the restore of': { turn: 'alone', data: 'alone' },
  // The kept data lies beside the live data, which may be read meanwhile; undo and restore would use it.
  'drop what is kept of': { turn: 'alone', data: undefined },
  // The volume's storage is replaced, and what is written past the copy would be lost.
  migrate: { turn: 'alone', data: 'alone' },
  // A copy of a volume being removed would be half of it, unnoticed. A prune removes one after the other.
  remove: { turn: 'alone', data: 'alone' },
  // Readers and journals go by the name.
  rename: { turn: 'alone', data: 'alone' },
  // They write: a reader would get files of several moments, and two writers would mix.
  'import into': { turn: 'alone', data: 'alone' },
  'clone into': { turn: 'alone', data: 'alone' },
  'copy into': { turn: 'alone', data: 'alone' },
  // They read, beside each other and beside a backup.
  clone: { turn: undefined, data: 'shared' },
  'copy from': { turn: undefined, data: 'shared' },
  export: { turn: undefined, data: 'shared' },
  // They keep the existing storage, and run beside readers: a volume grows while in use.
  resize: { turn: undefined, data: 'shared' },
  'rotate the keys of': { turn: undefined, data: 'shared' },
  'change the owner of': { turn: undefined, data: 'shared' },
  // A backup beside it would spoil the figures of both, and its file would be saved.
  'measure the speed of': { turn: 'alone', data: 'shared' },
  // Held until the command has started, so that it does not start on data that is about to be replaced. From
  // then on the volume is in use, as by a container.
  'run a command with': { turn: undefined, data: 'shared' },
} as const satisfies Record<string, Holds>;

export type Work = keyof typeof works;

export const partsOfVolume = ['data', 'turn'] as const;

interface Holds {
  readonly turn: 'alone' | 'shared' | undefined;
  readonly data: 'alone' | 'shared' | undefined;
}
