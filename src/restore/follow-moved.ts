import { fromText } from '../model/byte-string.ts';
import { isAppError } from '../model/errors.ts';
import { takeLease } from '../leases/index.ts';
import { parentOf } from '../lib/on-disk.ts';
import {
  isUndoable,
  listUndoRecords,
  type ManagedVolumes,
  writeUndoRecord,
  type UndoRecord,
} from '../volumes/index.ts';

/**
 * What is kept for an undo lies beside the data, and goes along when a volume is renamed, or comes back from the trash
 * under another name: the records follow.
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

/** Unless somebody is at work on it. */
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
