import { realpath } from 'node:fs/promises';
import type { ManagedVolume } from '../managed/managed-volumes.ts';
import { fromText } from '../../model/byte-string.ts';
import type { Protection } from '../../activity/index.ts';
import { isUndoable, listUndoRecords } from '../undo-records.ts';

/** Until when something is kept for an undo of a restore of a volume, or of a part of it. RFC 3339. */
export async function findKeptForUndo(
  { stateDir }: Protection,
  { mountpoint }: ManagedVolume,
): Promise<string | undefined> {
  const roots = [mountpoint, await realpath(mountpoint).catch(() => mountpoint)].map(fromText);
  for (const record of await listUndoRecords(stateDir)) {
    const isIn = roots.some((root) => record.root === root || record.root.startsWith(`${root}/`));
    if (isIn && (await isUndoable(record))) return record.until;
  }
  return undefined;
}
