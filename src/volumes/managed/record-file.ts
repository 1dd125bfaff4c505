import { readFile } from 'node:fs/promises';
import type { EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import { errnoOf } from '../../model/errors.ts';
import { isVolumeName } from '../../model/volume-name.ts';

/** Beside the data of what is in the trash, or on its way there or back. */
export const trashedMark = 'trashed.json';

/** What the storage was that a volume is being moved to, where it does not lie in the volume's folder. */
export const outsideNote = 'outside';

/** A record that lies in a file beside the data; undefined for a file that is not there, or is cut short. */
export async function readRecordFile<T extends EmbeddedVolumeRecord>(path: string): Promise<T | undefined> {
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

function isRecord(value: Partial<EmbeddedVolumeRecord> | null): boolean {
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
