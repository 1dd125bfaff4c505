import { rm } from 'node:fs/promises';
import path from 'node:path';
import { makeFolders, syncDirectory, writeDurably } from '../lib/durable-file.ts';
import { namesIn } from '../lib/folder-names.ts';
import { isProcessAlive } from '../lib/process-identity.ts';
import { readTextIfThere } from '../lib/read-text.ts';
import type { ByteString } from '../model/byte-string.ts';
import { errnoOf, AppError } from '../model/errors.ts';
import { parseJson } from '../model/parse-json.ts';
import type { AppStep, StartRefusal } from '../quiesce/index.ts';

/** One place whose data is replaced. */
export interface JournalMember {
  readonly kind: 'volume' | 'path';
  /** The volume's name or the directory, for people. */
  readonly name: string;
  /** What the lease is on. */
  readonly identity: string;
  readonly root: ByteString;
  /** The folder that holds `new`: before the swap the new data, after it the old. */
  readonly stage: ByteString;
  /** The inode number of that folder; '' before it is made. Earlier versions wrote none. */
  readonly stageInode?: string | undefined;
  /**
   * `beside`: the whole directory is swapped with `new`. `inside`: its contents are, name by name, as a mount
   * point needs. `part`: one entry below it is.
   */
  readonly place: 'beside' | 'inside' | 'part';
  /** For `part`: the entry's path below the root. */
  readonly part?: ByteString | undefined;
  /** The stage existed before, and stays when the restore fails: it holds what an undo brings back. */
  readonly isKept: boolean;
  /** The volume was created for this, and is removed when the restore fails. */
  readonly isCreated: boolean;
  /** Until when the old data is kept, RFC 3339; undefined when it is not. */
  readonly keepUntil?: string | undefined;
  /** The inode number of the new data, which identifies it wherever it is. With `swapping` and `back`. */
  readonly fresh?: string | undefined;
  /** The inode number of the old data; '' where nothing was. */
  readonly before?: string | undefined;
  /** For `inside`: top-level names that go away, and names that come. */
  readonly oldNames: readonly ByteString[];
  readonly newNames: readonly ByteString[];
  /** For `part`: the mtime of its folder, in nanoseconds since 1970. */
  readonly folderTime?: string | undefined;
}

/**
 * What a restore is about to do, written before it does it. What is restored together has one journal, so
 * that it ends all old or all new. It lies in the state folder, because a container could forge one inside a
 * volume.
 */
export interface RestoreJournal {
  readonly id: string;
  readonly action: 'restore' | 'undo';
  /** The engine whose containers these are. */
  readonly hostIdentity: string | undefined;
  /**
   * `staging`: the live data is untouched, or all of it is back and `levels` has to run again. `swapping`:
   * the new data is complete and durable, and is being swapped. `back`: the restore was given up, and the old
   * data is coming back. `committed`: the new data stays; the old may be gone already.
   */
  readonly step: 'staging' | 'swapping' | 'back' | 'committed';
  /** Which containers ran before, in stop order. */
  readonly levels: readonly (readonly AppStep[])[];
  readonly members: readonly JournalMember[];
  readonly snapshotIds: readonly string[];
}

export async function writeJournal(stateDir: string, journal: RestoreJournal): Promise<void> {
  const folder = journalFolder(stateDir);
  // On a read-only file system Node's recursive mkdir reports a missing folder instead.
  const made = await makeFolders(folder, { mode: 0o700 });
  if (made !== undefined) await syncDirectory(path.dirname(folder));
  await writeDurably(journalPath(stateDir, journal.id), JSON.stringify({ version: 2, ...journal }));
}

/**
 * All journals, those of living processes too. Removes one whose process was killed while writing it. Reports
 * and leaves out one that cannot be read: it must not block the backups of all other volumes.
 */
export async function listJournals(
  stateDir: string,
  onDamaged?: (error: unknown) => void,
): Promise<RestoreJournal[]> {
  const journals: RestoreJournal[] = [];
  const folder = journalFolder(stateDir);
  for (const name of await namesIn(folder)) {
    const writer = /^tmp-(\d+)-/.exec(name)?.[1];
    if (writer !== undefined && !isProcessAlive(Number(writer)))
      await rm(path.join(folder, name), { force: true });
    const id = /^restore-([0-9a-f]{16,32})\.json$/.exec(name)?.[1];
    if (id === undefined) continue;
    try {
      const journal = await readJournal(stateDir, id);
      if (journal !== undefined) journals.push(journal);
    } catch (error) {
      onDamaged?.(error);
    }
  }
  return journals;
}

/** Undefined when it is gone. */
export async function readJournal(stateDir: string, id: string): Promise<RestoreJournal | undefined> {
  return await readJournalFile(journalPath(stateDir, id), { isJournal, hint });
}

const hint =
  'Another version of Holdfast may have written it: use that one. Where it is damaged, see to it that the data is whole: what was there before lies beside it. Then remove that file, and run "holdfast recover".';

/** Records that an engine refused to start what ran before a restore. */
export function refusalOf(stateDir: string, id: string): StartRefusal {
  return { file: path.join(journalFolder(stateDir), `restore-${id}.refused`) };
}

export async function removeJournal(stateDir: string, id: string): Promise<void> {
  await rm(journalPath(stateDir, id), { force: true });
  await rm(refusalOf(stateDir, id).file, { force: true });
  await syncDirectory(journalFolder(stateDir)).catch((error: unknown) => {
    // There was no room for the folder either.
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
}

function journalFolder(stateDir: string): string {
  return path.join(stateDir, 'journal');
}

function journalPath(stateDir: string, id: string): string {
  return path.join(journalFolder(stateDir), `restore-${id}.json`);
}

function isJournal(value: unknown): value is RestoreJournal {
  if (typeof value !== 'object' || value === null) return false;
  const { version, id, step, members, levels } = value as Partial<
    Record<keyof RestoreJournal | 'version', unknown>
  >;
  return (
    version === 2 &&
    typeof id === 'string' &&
    (step === 'staging' || step === 'swapping' || step === 'back' || step === 'committed') &&
    Array.isArray(levels) &&
    Array.isArray(members) &&
    members.every(isMember)
  );
}

function isMember(value: unknown): value is JournalMember {
  if (typeof value !== 'object' || value === null) return false;
  const { root, stage, place, oldNames, newNames } = value as Partial<Record<keyof JournalMember, unknown>>;
  return (
    typeof root === 'string' &&
    typeof stage === 'string' &&
    (place === 'beside' || place === 'inside' || place === 'part') &&
    Array.isArray(oldNames) &&
    Array.isArray(newNames)
  );
}

interface JournalKind<T> {
  readonly isJournal: (value: unknown) => value is T;
  /** What to do about one that cannot be read. */
  readonly hint: string;
}

/** The journal of a restore. Undefined when it is gone. */
export async function readJournalFile<T>(file: string, kind: JournalKind<T>): Promise<T | undefined> {
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  const journal = parseJson(text);
  if (kind.isJournal(journal)) return journal;
  throw new AppError(
    'integrity',
    `The journal of a restore, "${file}", is not one that this version can read`,
    { hint: kind.hint },
  );
}
