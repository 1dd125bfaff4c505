import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory, writeDurably } from '../lib/durable-file.ts';
import { namesIn } from '../lib/folder-names.ts';
import { errnoOf } from '../model/errors.ts';
import { readJournalFile } from './restore-journal.ts';

/** A volume of an engine. */
export interface StreamedPlace {
  readonly hostIdentity: string;
  readonly name: string;
}

/**
 * What a restore through an engine has begun to do to a volume whose data cannot be reached directly: there
 * is no stage beside it, so until the end its data is neither old nor new. At most one for a volume.
 */
export interface StreamedJournal extends StreamedPlace {
  /**
   * The repository of the old data, or else of the data being restored: its id, and its location for people.
   */
  readonly repositoryId: string;
  readonly location: string;
  /** The snapshot that is being restored. */
  readonly snapshotId: string;
  /** The snapshot of the old data; undefined when the volume was empty. */
  readonly safetyId: string | undefined;
  /** Taken when the volume was restored again, oldest first: half a restore, or what was written since. */
  readonly replacedIds?: readonly string[] | undefined;
  /** When it began, RFC 3339. */
  readonly since: string;
}

/** Durable when it returns. After an unfinished restore, the old data is still that from before it. */
export async function beginStreamed(stateDir: string, journal: StreamedJournal): Promise<void> {
  const folder = folderOf(stateDir);
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncDirectory(path.dirname(folder));
  const earlier = await findStreamed(stateDir, journal);
  const kept = earlier === undefined ? {} : keptOf(earlier, journal);
  await writeDurably(pathOf(stateDir, journal), JSON.stringify({ version: 1, ...journal, ...kept }));
}

/** A snapshot with its repository: another restore may be from another one. */
function keptOf(earlier: StreamedJournal, { safetyId: replaced }: StreamedJournal): Partial<StreamedJournal> {
  const { safetyId, repositoryId, location, replacedIds = [] } = earlier;
  const before = safetyId === undefined ? { safetyId } : { safetyId, repositoryId, location };
  return { ...before, replacedIds: [...replacedIds, ...(replaced === undefined ? [] : [replaced])] };
}

/** The ids of all snapshots of the volume since it was last whole. */
export function savedIn({ safetyId, replacedIds = [] }: StreamedJournal): readonly string[] {
  return safetyId === undefined ? replacedIds : [safetyId, ...replacedIds];
}

/** Records that the volume is whole again. */
export async function endStreamed(stateDir: string, place: StreamedPlace): Promise<void> {
  try {
    await rm(pathOf(stateDir, place));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  await syncDirectory(folderOf(stateDir));
}

/** Undefined when the volume is whole, as far as is known. */
export async function findStreamed(
  stateDir: string,
  place: StreamedPlace,
): Promise<StreamedJournal | undefined> {
  return await readStreamed(pathOf(stateDir, place));
}

/** All journals, those of living processes too. Reports and leaves out one that cannot be read. */
export async function listStreamed(
  stateDir: string,
  onDamaged: (error: unknown) => void,
): Promise<StreamedJournal[]> {
  const journals: StreamedJournal[] = [];
  for (const name of await namesIn(folderOf(stateDir))) {
    if (!/^streamed-[0-9a-f]{32}\.json$/.test(name)) continue;
    try {
      const journal = await readStreamed(path.join(folderOf(stateDir), name));
      if (journal !== undefined) journals.push(journal);
    } catch (error) {
      onDamaged(error);
    }
  }
  return journals;
}

async function readStreamed(file: string): Promise<StreamedJournal | undefined> {
  return await readJournalFile(file, { isJournal: isStreamedJournal, hint });
}

const hint =
  'Another version of Holdfast may have written it: use that one. Where it is damaged, remove that file first, then restore the volume at once, since what is in it may not be whole. What was in it before was saved with the tag "before-restore".';

/** The file of a volume's journal, for people. */
export function pathOf(stateDir: string, { hostIdentity, name }: StreamedPlace): string {
  const key = createHash('sha256').update(`${hostIdentity}\0${name}`).digest('hex').slice(0, 32);
  return path.join(folderOf(stateDir), `streamed-${key}.json`);
}

function folderOf(stateDir: string): string {
  return path.join(stateDir, 'journal');
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function isStreamedJournal(value: unknown): value is StreamedJournal {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Partial<Record<keyof StreamedJournal | 'version', unknown>>;
  const texts = [fields.hostIdentity, fields.name, fields.repositoryId, fields.snapshotId, fields.since];
  return (
    fields.version === 1 &&
    texts.every((text) => typeof text === 'string') &&
    (fields.safetyId === undefined || typeof fields.safetyId === 'string') &&
    (fields.replacedIds === undefined || isTexts(fields.replacedIds))
  );
}
