import { lstat } from 'node:fs/promises';
import { toPath } from '../model/byte-string.ts';
import { isAppError } from '../model/errors.ts';
import { takeLease } from './lease.ts';
import type { Protection } from './protection.ts';
import { listJournals } from './restore-journal.ts';
import { parentOf } from './on-disk.ts';
import { dropUndo, isUndoable, listUndoRecords, type UndoRecord } from './undo-records.ts';

/** Deletes what was kept for an undo and has had its time, or is not there any more. What somebody is at work on stays. */
export async function dropExpired(parts: Pick<Protection, 'stateDir' | 'now'>): Promise<void> {
  const { stateDir, now } = parts;
  for (const record of await listUndoRecords(stateDir)) {
    if (Date.parse(record.until) > now() && !(await isGone(record))) continue;
    const { identity, name } = record;
    try {
      await using _lease = await takeLease({ stateDir, identity, name, action: 'restore' });
      // An undo that was killed holds on to it until it is put right.
      if (
        (await listJournals(stateDir)).some(({ members }) =>
          members.some(({ stage }) => stage === record.stage),
        )
      )
        continue;
      const same = (await listUndoRecords(stateDir)).find(({ id }) => id === record.id);
      if (same?.inode === record.inode && same.until === record.until) await dropUndo(stateDir, record);
    } catch (error) {
      if (!isAppError(error, 'locked')) throw error;
    }
  }
}

/** Removed with its volume; not when its whole disk is away. */
async function isGone(record: UndoRecord): Promise<boolean> {
  if (await isUndoable(record)) return false;
  return await lstat(toPath(parentOf(record.root))).then(
    () => true,
    () => false,
  );
}
