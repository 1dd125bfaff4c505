import { rename } from 'node:fs/promises';
import { syncDirectory } from '../../lib/durable-file.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { checkOwnName } from '../../model/volume-name.ts';
import type { CallOptions } from '../../hosts/host.ts';
import { type VolumeState } from './volume-state.ts';
import { withVolume } from './with-volume.ts';
import { requireUnused } from './mount-volume.ts';
import { stateError } from './volume-folders.ts';
import { lockVolumeFolder } from './volume-lock.ts';

/** Renames a volume, which keeps its snapshots. The next start finishes it after a kill. */
export async function renameVolume(
  state: VolumeState,
  { name, to }: { readonly name: string; readonly to: string },
  { signal }: CallOptions,
): Promise<void> {
  const action = `Cannot rename volume ${quote(name)}`;
  checkOwnName(to);
  if (to === name) throw new AppError('usage', `${action}: that is its name already`);
  await withVolume(state, { name, action: 'rename', signal }, async (storage) => {
    await requireUnused(state, storage, { action: 'rename', signal });
    await state.folders.createFolder(to);
    // A process that makes a volume of that name waits for this one, and finds it taken.
    using _target = await lockVolumeFolder(state.folders.path(to), {
      name: to,
      action: 'rename to',
      signal,
      waitMs: 5000,
    });
    if (!state.catalog.volumes.beginRename(name, to)) throw taken(action, to);
    try {
      await rename(state.folders.path(name), state.folders.path(to));
    } catch (error) {
      state.catalog.volumes.cancelRename(name);
      const errno = errnoOf(error);
      throw errno === 'ENOTEMPTY' || errno === 'EEXIST' ? taken(action, to) : stateError(action, error);
    }
    await finishRename(state, name);
  });
}

/** The folder has its new name: the rest follows. May be repeated. */
export async function finishRename(state: VolumeState, from: string): Promise<void> {
  const { catalog, folders } = state;
  await syncDirectory(folders.volumesDir);
  catalog.volumes.endRename(from, catalog.stateId());
}

/** From that name or to it: its folder may already have the new name while its record has the old one. */
export function isBeingRenamed({ catalog }: VolumeState, name: string): boolean {
  return catalog.volumes.listRenames().some(({ from, to }) => from === name || to === name);
}

function taken(action: string, to: string): AppError {
  return new AppError('exists', `${action}: the name ${quote(to)} is taken`, {
    hint: 'Choose another name, or remove what has it.',
  });
}
