import { rm, readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolders, syncDirectory, writeDurably } from '../lib/durable-file.ts';
import { namesIn } from '../lib/folder-names.ts';
import { isProcessAlive } from '../lib/process-identity.ts';
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
  /** The folder that holds `new`: what is made ready, and after the swap what was there before. */
  readonly stage: ByteString;
  /** The number of that folder in its file system; '' before it is made. Earlier versions wrote none. */
  readonly stageInode?: string | undefined;
  /**
   * `beside`: the whole directory changes places with `new`. `inside`: what is in it does, name by name, as a mount
   * point needs. `part`: one thing below it does.
   */
  readonly place: 'beside' | 'inside' | 'part';
  /** For `part`: the thing, below the root. */
  readonly part?: ByteString | undefined;
  /** The stage was there before, and stays when nothing comes of it: it holds what an undo brings back. */
  readonly isKept: boolean;
  /** The volume was made for this, and goes again when nothing comes of it. */
  readonly isCreated: boolean;
  /** How long what was there before is kept; undefined when it is not. RFC 3339. */
  readonly keepUntil?: string | undefined;
  /** The number of the file that is to come, by which it is known wherever it is. With `swapping` and `back`. */
  readonly fresh?: string | undefined;
  /** The number of what is replaced; '' where nothing was. */
  readonly before?: string | undefined;
  /** For `inside`: names at the top that go away, and names that come. */
  readonly oldNames: readonly ByteString[];
  readonly newNames: readonly ByteString[];
  /** For `part`: the time of the folder that it is in. Nanoseconds since 1970. */
  readonly folderTime?: string | undefined;
}

/**
 * What a restore is about to do, written before it does it. All that is restored together has one journal, so that all
 * of it ends as it was, or as it was to become. It lies in the state folder: what lies in a volume may have been put
 * there by a container.
 */
export interface RestoreJournal {
  readonly id: string;
  /** `restore` or `undo`. */
  readonly action: 'restore' | 'undo';
  /** The engine whose containers these are. */
  readonly hostIdentity: string | undefined;
  /**
   * `staging`: nothing of the live data is touched, or all of it is back: then `levels` has to run again. `swapping`:
   * all that is to come is complete and durable, and changes places with what is there. `back`: it was given up, and what
   * was there before comes back. `committed`: all of it stays; what was there before may be gone already.
   */
  readonly step: 'staging' | 'swapping' | 'back' | 'committed';
  /** Which containers ran before, in the order in which they are stopped. */
  readonly levels: readonly (readonly AppStep[])[];
  readonly members: readonly JournalMember[];
  readonly snapshotIds: readonly string[];
}

export async function writeJournal(stateDir: string, journal: RestoreJournal): Promise<void> {
  const folder = journalFolder(stateDir);
  // Node's own recursive one says that a folder is missing where the file system is read-only.
  const made = await makeFolders(folder, { mode: 0o700 });
  if (made !== undefined) await syncDirectory(path.dirname(folder));
  await writeDurably(journalPath(stateDir, journal.id), JSON.stringify({ version: 2, ...journal }));
}

/**
 * The journals that there are, of living processes too. One that was being written when its process was killed is
 * removed. One that cannot be read is told and left out: it must not keep all other volumes from their backups.
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

/** Where it is written down that an engine refused to start what ran before a restore. */
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
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const journal = parseJson(text);
  if (kind.isJournal(journal)) return journal;
  throw new AppError(
    'integrity',
    `The journal of a restore, "${file}", is not one that this version can read`,
    { hint: kind.hint },
  );
}
