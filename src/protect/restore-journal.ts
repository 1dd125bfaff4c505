import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory, writeDurably } from '../lib/durable-file.ts';
import { isProcessAlive } from '../lib/process-alive.ts';
import type { ByteString } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';

/**
 * What a restore is about to do to a directory, written before it does it. It lies in the state folder: what lies in
 * the volume itself may have been put there by a container.
 */
export interface RestoreJournal {
  readonly root: ByteString;
  /** The directory that holds `new`, and `old` while things are swapped. */
  readonly stage: ByteString;
  readonly place: 'beside' | 'inside';
  /** With `swapping`, `new` is complete and durable. */
  readonly step: 'staging' | 'swapping';
  /** Names at the top of the root that go away; for `inside` and `swapping`. */
  readonly oldNames: readonly ByteString[];
  /** Names at the top of the root that come. */
  readonly newNames: readonly ByteString[];
}

export async function writeJournal(stateDir: string, journal: RestoreJournal): Promise<void> {
  const folder = journalFolder(stateDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeDurably(journalPath(stateDir, journal.root), JSON.stringify({ version: 1, ...journal }));
}

export async function readJournal(stateDir: string, root: ByteString): Promise<RestoreJournal | undefined> {
  return await readJournalFile(journalPath(stateDir, root));
}

async function readJournalFile(file: string): Promise<RestoreJournal | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const journal: unknown = JSON.parse(text);
  if (isJournal(journal)) return journal;
  throw new AppError(
    'integrity',
    `The journal of a restore, "${file}", is not one that this version can read`,
    {
      hint: 'A newer version of Holdfast may have written it: use that one.',
    },
  );
}

/** The directories for which there is a journal. One that was being written when its process was killed is removed. */
export async function listJournals(stateDir: string): Promise<ByteString[]> {
  const roots: ByteString[] = [];
  for (const name of await namesIn(journalFolder(stateDir))) {
    const writer = /^tmp-(\d+)-/.exec(name)?.[1];
    if (writer !== undefined && !isProcessAlive(Number(writer)))
      await rm(path.join(journalFolder(stateDir), name), { force: true });
    const journal = /^restore-[0-9a-f]{32}\.json$/.test(name)
      ? await readJournalFile(path.join(journalFolder(stateDir), name))
      : undefined;
    if (journal !== undefined) roots.push(journal.root);
  }
  return roots;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

export async function removeJournal(stateDir: string, root: ByteString): Promise<void> {
  await rm(journalPath(stateDir, root), { force: true });
  await syncDirectory(journalFolder(stateDir));
}

function journalFolder(stateDir: string): string {
  return path.join(stateDir, 'journal');
}

function journalPath(stateDir: string, root: ByteString): string {
  return path.join(
    journalFolder(stateDir),
    `restore-${createHash('sha256').update(root).digest('hex').slice(0, 32)}.json`,
  );
}

function isJournal(value: unknown): value is RestoreJournal {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Partial<Record<keyof RestoreJournal | 'version', unknown>>;
  return (
    fields.version === 1 &&
    typeof fields.root === 'string' &&
    typeof fields.stage === 'string' &&
    (fields.place === 'beside' || fields.place === 'inside') &&
    (fields.step === 'staging' || fields.step === 'swapping') &&
    Array.isArray(fields.oldNames) &&
    Array.isArray(fields.newNames)
  );
}
