import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import { type EmbeddedParts, requireRecord } from './embedded-parts.ts';
import { trashedMark } from './record-file.ts';
import { folderIdentity } from '../../lib/folder-identity.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { fromText } from '../../model/byte-string.ts';
import { stateError } from './volume-folders.ts';

/**
 * Into the trash, decided durably by the catalog alone: the folder moves after that, and reaches its place on the disk
 * when the kernel gets to it. What a kill or a power cut leaves is finished at the next start. The volume's lock is held.
 */
export async function removeSoon(
  parts: EmbeddedParts,
  record: EmbeddedVolumeRecord,
  trashed: EmbeddedVolumeRecord,
): Promise<void> {
  const { catalog, folders } = parts;
  const { name } = record;
  const entry = `${name}.${randomBytes(8).toString('hex')}`;
  const mark = JSON.stringify(trashed);
  const markPath = join(folders.path(name), trashedMark);
  const folder = folderIdentity(folders.path(name)) ?? '';
  const removal = { entry, name, folder, mark, boot: folders.settlingBoot ?? '' };
  // Somebody else was faster: what they are told is told here.
  if (!catalog.unsettled.beginRemoval(removal)) requireRecord(parts, { name, action: 'remove' });
  try {
    writeFileSync(markPath, mark, { mode: 0o600 });
    renameSync(folders.path(name), join(folders.trashDir, entry));
  } catch (error) {
    catalog.unsettled.cancelRemoval(entry, record);
    await removeTree(fromText(markPath));
    throw stateError(`Cannot remove volume "${name}"`, error);
  }
  parts.settleSoon();
}
