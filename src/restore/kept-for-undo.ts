import { takeLease } from '../leases/index.ts';
import { exists, inodeOf, parentOf } from '../lib/on-disk.ts';
import { isKeptShorter, type KeptSince, keptSince } from '../lib/process-identity.ts';
import { fromText } from '../model/byte-string.ts';
import { isAppError } from '../model/errors.ts';
import {
  dropUndo,
  isUndoable,
  listUndoRecords,
  type UndoRecord,
  type ManagedVolumes,
  writeUndoRecord,
} from '../volumes/index.ts';
import { listJournals } from './restore-journal.ts';

/** Deletes data kept for an undo that has expired or is gone. Leaves alone what another process holds. */
export async function dropExpired(
  { stateDir, now = Date.now }: { readonly stateDir: string; readonly now?: () => number },
  present: KeptSince = keptSince(),
): Promise<void> {
  const errors: unknown[] = [];
  for (const record of await listUndoRecords(stateDir)) {
    if (!(await isOver(record, now(), present))) continue;
    const { identity, name } = record;
    try {
      await using _lease = await takeLease({ stateDir, identity, name, action: 'restore' });
      // A killed undo needs it until it is settled.
      if (
        (await listJournals(stateDir)).some(({ members }) =>
          members.some(({ stage }) => stage === record.stage),
        )
      )
        continue;
      const same = (await listUndoRecords(stateDir)).find(({ id }) => id === record.id);
      // Data that seemed gone before it expired may be back: another user may have moved it for a moment.
      const unlessWhole = now() < Date.parse(record.until);
      if (same?.inode === record.inode && same.until === record.until)
        await dropUndo(stateDir, record, { unlessWhole });
    } catch (error) {
      // A failed deletion does not stop the others.
      if (!isAppError(error, 'locked')) errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** The disk of unseen data may be away, or it is in the trash: its record stays until it can be deleted. */
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

/**
 * Data kept for an undo lies beside the live data, and moves along when a volume is renamed or comes back
 * from the trash under another name. Updates the records.
 */
export async function followMoved(stateDir: string, managed: Pick<ManagedVolumes, 'list'>): Promise<void> {
  for (const record of await listUndoRecords(stateDir)) {
    if (record.kind !== 'volume' || (await isUndoable(record))) continue;
    const moved = await findMoved(managed, record);
    if (moved !== undefined) await follow(stateDir, { record, moved });
  }
}

async function findMoved(
  managed: Pick<ManagedVolumes, 'list'>,
  record: UndoRecord,
): Promise<UndoRecord | undefined> {
  const stageName = record.stage.slice(record.stage.lastIndexOf('/'));
  for (const { name, mountpoint } of await managed.list()) {
    const root = fromText(mountpoint);
    const moved = { ...record, name, root, stage: `${parentOf(root)}${stageName}` };
    if (await isUndoable(moved)) return moved;
  }
  return undefined;
}

interface Move {
  readonly record: UndoRecord;
  readonly moved: UndoRecord;
}

/** Unless another process holds it. */
async function follow(stateDir: string, { record, moved }: Move): Promise<void> {
  const { id, identity, name, stage } = record;
  try {
    await using _lease = await takeLease({ stateDir, identity, name, action: 'restore' });
    const now = (await listUndoRecords(stateDir)).find((other) => other.id === id);
    if (now?.stage === stage && (await isUndoable(moved))) await writeUndoRecord(stateDir, moved);
  } catch (error) {
    if (!isAppError(error, 'locked')) throw error;
  }
}
