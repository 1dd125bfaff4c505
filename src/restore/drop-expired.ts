import { isKeptShorter, type KeptSince, keptSince } from '../lib/process-identity.ts';
import { isAppError } from '../model/errors.ts';
import { takeLease } from '../leases/index.ts';
import type { Protection } from '../activity/index.ts';
import { listJournals } from './restore-journal.ts';
import { exists, inodeOf } from '../lib/on-disk.ts';
import { dropUndo, isUndoable, listUndoRecords, type UndoRecord } from '../volumes/index.ts';

/** Deletes what was kept for an undo and has had its time, or is not there any more. What somebody is at work on stays. */
export async function dropExpired(
  parts: Pick<Protection, 'stateDir' | 'now'>,
  present: KeptSince = keptSince(),
): Promise<void> {
  const { stateDir, now } = parts;
  const errors: unknown[] = [];
  for (const record of await listUndoRecords(stateDir)) {
    if (!(await isOver(record, now(), present))) continue;
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
      // What seemed to be gone before its time may be there again: another user had only moved it for a moment.
      const unlessWhole = now() < Date.parse(record.until);
      if (same?.inode === record.inode && same.until === record.until)
        await dropUndo(stateDir, record, { unlessWhole });
    } catch (error) {
      // One that cannot be deleted keeps nothing from the others.
      if (!isAppError(error, 'locked')) errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** What cannot be seen may be on a disk that is away, or in the trash: it is remembered until it can be deleted too. */
const rememberedMs = 90 * 24 * 3600 * 1000;

async function isOver(record: UndoRecord, nowMs: number, present: KeptSince): Promise<boolean> {
  const { keptAt, until, since } = record;
  const overSinceMs = nowMs - Date.parse(until);
  const isEarly = isKeptShorter(since, Date.parse(until) - Date.parse(keptAt), present);
  if (await isUndoable(record)) return overSinceMs >= 0 && !isEarly;
  // The live data is there, and so is its disk.
  if (record.liveInode !== undefined && (await inodeOf(record.root)) === record.liveInode) return true;
  return overSinceMs >= ((await exists(record.stage)) ? 0 : rememberedMs);
}
