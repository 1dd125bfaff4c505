import { access, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import type { DriverVolume } from './driver.ts';
import { applyOwnership } from '../lib/ownership.ts';

const mark = 'fresh';

/** The file system that was made has not been mounted yet: its root still has to become what was asked for. */
export async function markFresh(volume: DriverVolume): Promise<void> {
  await writeDurably(join(volume.folder, mark), '');
}

/** Makes the root of a new file system an empty directory with the owner and mode that were asked for. Once. */
export async function prepareFreshRoot(volume: DriverVolume): Promise<void> {
  const path = join(volume.folder, mark);
  const isFresh = await access(path).then(
    () => true,
    () => false,
  );
  if (!isFresh) return;
  // Databases refuse a folder that is not empty, and containers copy nothing into one. fsck makes it anew when it needs it.
  await rmdir(join(volume.mountpoint, 'lost+found')).catch(() => undefined);
  await applyOwnership(volume.mountpoint, { mode: '0755', ...volume.options }, volume.name);
  await rm(path, { force: true });
}
