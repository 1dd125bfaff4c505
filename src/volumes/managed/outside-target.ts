import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../lib/durable-file.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { readTextIfThere } from '../../lib/read-text.ts';
import { emptyDirectory } from '../../lib/remove-tree.ts';
import { fromText } from '../../model/byte-string.ts';
import type { Storage } from './volume-state.ts';
import { isMountedAt, mountStorage, unmountStorage } from './mount-volume.ts';
import { outsideNote } from './marks.ts';

/** Undefined for storage that lies in the volume's folder. */
export async function isOutsideMissing({ traits, volume }: Storage): Promise<boolean | undefined> {
  const device = volume.options['device'];
  if (!traits.isElsewhere || device === undefined) return undefined;
  return await access(device).then(
    () => false,
    () => true,
  );
}

/**
 * New storage outside the volume's folder is not removed with it. Records its previous state once it is known
 * to be empty, so that an abandoned migration leaves nothing there.
 */
export async function noteOutside({ volume }: Storage, wasMissing: boolean | undefined): Promise<void> {
  if (wasMissing === undefined) return;
  await writeDurably(join(volume.folder, outsideNote), wasMissing ? 'made' : 'empty');
}

/** Restores the previous state: removes its contents, or all of it. */
export async function clearOutside(storage: Storage): Promise<void> {
  const { volume } = storage;
  const note = await readTextIfThere(join(volume.folder, outsideNote));
  if (note === 'made') {
    await unmountStorage(storage, {});
    await rm(volume.options['device'] ?? '', { force: true });
  } else if (note === 'empty') {
    if (!(await isMountedAt(volume.mountpoint))) await mountStorage(storage, {});
    using root = DirectoryHandle.open(fromText(volume.mountpoint));
    await emptyDirectory(root);
  }
}
