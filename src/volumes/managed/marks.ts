import { lstatSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedVolumeRecord } from '../../catalog/catalog.ts';
import { writeDurably } from '../../lib/durable-file.ts';
import { errnoOf } from '../../model/errors.ts';
import { isVolumeName } from '../../model/volume-name.ts';
import type { VolumeState } from './volume-state.ts';

/** Beside the data of what is in the trash, or on its way there or back. */
export const trashedMark = 'trashed.json';

/** The previous state of a migration's target, where that does not lie in the volume's folder. */
export const outsideNote = 'outside';

/** A record in a file beside the data; undefined for a missing or truncated file. */
export async function readRecordFile<T extends ManagedVolumeRecord>(path: string): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  try {
    const value = JSON.parse(text) as Partial<T>;
    return isRecord(value) ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: Partial<ManagedVolumeRecord> | null): boolean {
  return (
    typeof value?.name === 'string' &&
    isVolumeName(value.name) &&
    typeof value.driver === 'string' &&
    typeof value.createdAt === 'string' &&
    isTexts(value.labels) &&
    isTexts(value.options)
  );
}

function isTexts(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

/**
 * Marks a folder as a volume's new storage, with the volume's future record. In the trash folder, where the
 * storage is prepared, nothing is decided; once the folder is in the volume's place, by one exchange, the volume
 * is on it, and its record follows.
 */
const migrationMark = 'migrating.json';

export async function writeMigrationMark(folder: string, record: ManagedVolumeRecord): Promise<void> {
  await writeDurably(join(folder, migrationMark), JSON.stringify(record));
}

/** Cheap: called before each use of a volume. */
export function hasMigrationMark(folder: string): boolean {
  try {
    return lstatSync(join(folder, migrationMark), { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    // The volume's place holds something that is no folder: the work that uses the volume says so.
    if (errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

export async function readMigrationMark(folder: string): Promise<ManagedVolumeRecord | undefined> {
  return await readRecordFile(join(folder, migrationMark));
}

export async function removeMigrationMark(folder: string): Promise<void> {
  await rm(join(folder, migrationMark), { force: true });
}

/** The folder is in the volume's place: its record follows. May be repeated. The volume's lock is held. */
export async function finishMigration(state: VolumeState, name: string): Promise<void> {
  await recordMigration(state, name);
  await removeMarks(state, name);
}

export async function recordMigration({ catalog, folders }: VolumeState, name: string): Promise<void> {
  const mark = await readMigrationMark(folders.path(name));
  if (mark === undefined) return;
  const record = catalog.findManagedVolume(name);
  const { driver, options } = mark;
  if (record === undefined) catalog.addManagedVolume({ ...mark, name });
  else catalog.volumes.update({ ...record, driver, options });
}

export async function removeMarks({ folders }: VolumeState, name: string): Promise<void> {
  const folder = folders.path(name);
  // It may have come out of the trash.
  await rm(join(folder, trashedMark), { force: true });
  await rm(join(folder, outsideNote), { force: true });
  await removeMigrationMark(folder);
}
