/**
 * The works on a volume, by the words that messages have for them ("Cannot ${work} …", "It began to ${work} it"), and what
 * each holds of the volume while it goes on:
 *
 * - `data`: works that change what a reader sees hold it alone, works that need it to stay hold it shared.
 * - `turn`: of the works that hold it, one at a time. It is what the versions before this table know: they take it for
 *   whatever they keep apart at all.
 *
 * Two works exclude each other where one holds alone what the other holds; otherwise they go on side by side.
 *
 * Not in the table, since they must go on while a volume is worked on: looking (`inspect`, `ls`, `du`, `browse`, `cat`),
 * what concerns the record alone (labels, protection), and mounts, which `in-use` keeps from being pulled away.
 */
export const works = {
  // It reads for long, and a second one would read the same. Others may read meanwhile.
  'back up': { turn: 'alone', data: 'shared' },
  // Another directory takes the place of the data, or it is written over: a reader would have half of each.
  restore: { turn: 'alone', data: 'alone' },
  'undo the restore of': { turn: 'alone', data: 'alone' },
  // What is kept lies beside the data, which readers go on to read; undo and restore would take it up.
  'drop what is kept of': { turn: 'alone', data: undefined },
  // Other storage takes the volume's place, and what is written or read past the copy would be lost.
  migrate: { turn: 'alone', data: 'alone' },
  // Removed while it is read, a copy is half of it and says nothing. A prune removes one after the other.
  remove: { turn: 'alone', data: 'alone' },
  // Readers and journals go by the name.
  rename: { turn: 'alone', data: 'alone' },
  // They write: what reads meanwhile has files of several moments, and two of them would mix.
  'import into': { turn: 'alone', data: 'alone' },
  'clone into': { turn: 'alone', data: 'alone' },
  'copy into': { turn: 'alone', data: 'alone' },
  // They read, beside each other and beside a backup.
  clone: { turn: undefined, data: 'shared' },
  'copy from': { turn: undefined, data: 'shared' },
  export: { turn: undefined, data: 'shared' },
  // They keep to the storage that is there, beside what reads it: a volume grows while it is in use.
  resize: { turn: undefined, data: 'shared' },
  'rotate the keys of': { turn: undefined, data: 'shared' },
  'change the owner of': { turn: undefined, data: 'shared' },
  // Held until the command has begun, so that it does not begin on data that is about to change places. From then on the
  // volume is in use, as by a container.
  'run a command with': { turn: undefined, data: 'shared' },
} as const satisfies Record<string, Holds>;

export type Work = keyof typeof works;

export const partsOfVolume = ['data', 'turn'] as const;

interface Holds {
  readonly turn: 'alone' | 'shared' | undefined;
  readonly data: 'alone' | 'shared' | undefined;
}
