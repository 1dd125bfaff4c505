import { lstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Catalog, EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import { writeDurably } from '../../lib/durable-file.ts';
import { errnoOf } from '../../model/errors.ts';
import { outsideNote, readRecordFile, trashedMark } from './record-file.ts';
import type { VolumeFolders } from './volume-folders.ts';

/**
 * Says in a folder which storage it is to become the volume's. In the trash folder, where it is made ready, nothing has
 * been decided; in the volume's own place, where it comes in one step, the volume is on it, and its record follows.
 */
const migrationMark = 'migrating.json';

export async function writeMigrationMark(folder: string, record: EmbeddedVolumeRecord): Promise<void> {
  await writeDurably(join(folder, migrationMark), JSON.stringify(record));
}

/** Cheap: it is asked before each use of a volume. */
export function hasMigrationMark(folder: string): boolean {
  try {
    return lstatSync(join(folder, migrationMark), { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    // Something that is no folder is in the volume's place: whoever uses the volume says so.
    if (errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

export async function readMigrationMark(folder: string): Promise<EmbeddedVolumeRecord | undefined> {
  return await readRecordFile(join(folder, migrationMark));
}

export async function removeMigrationMark(folder: string): Promise<void> {
  await rm(join(folder, migrationMark), { force: true });
}

interface Parts {
  readonly catalog: Catalog;
  readonly folders: VolumeFolders;
}

/** The folder is in the volume's place: its record follows. May be repeated. The volume's lock is held. */
export async function finishMigration(parts: Parts, name: string): Promise<void> {
  await recordMigration(parts, name);
  await removeMarks(parts, name);
}

export async function recordMigration({ catalog, folders }: Parts, name: string): Promise<void> {
  const mark = await readMigrationMark(folders.path(name));
  if (mark === undefined) return;
  const record = catalog.findEmbeddedVolume(name);
  const { driver, options } = mark;
  if (record === undefined) catalog.addEmbeddedVolume({ ...mark, name });
  else catalog.volumes.update({ ...record, driver, options });
}

export async function removeMarks({ folders }: Parts, name: string): Promise<void> {
  const folder = folders.path(name);
  // It may have come out of the trash.
  await rm(join(folder, trashedMark), { force: true });
  await rm(join(folder, outsideNote), { force: true });
  await removeMigrationMark(folder);
}
