import { readdirSync, renameSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { DirectoryHandle } from '../lib/directory-handle.ts';
import { syncDirectory, writeDurably } from '../lib/durable-file.ts';
import type { KeptSince } from '../lib/process-identity.ts';
import { namesIn } from '../lib/folder-names.ts';
import { removeDirectoryAt, statAt } from '../lib/posix-at.ts';
import { orGone, removeTreeIn } from '../lib/remove-tree.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { parseJson } from '../model/parse-json.ts';
import { quote } from '../model/quote.ts';
import { inodeOf, parentOf } from '../lib/on-disk.ts';

/** Data that a restore has replaced and that is kept beside the live data, for an undo. */
export interface UndoRecord {
  readonly id: string;
  /** What was restored together is undone together. */
  readonly restoreId: string;
  readonly kind: 'volume' | 'path';
  readonly name: string;
  /** What the lease is on. */
  readonly identity: string;
  readonly hostIdentity: string | undefined;
  /** The path of the live data. */
  readonly root: ByteString;
  /** The folder whose `new` an undo brings back. */
  readonly stage: ByteString;
  /** The inode number of `new`: only the kept data itself counts. */
  readonly inode: string;
  /**
   * The inode number of the live data when this was kept: while that is in place, the disk is there. Earlier
   * versions wrote none.
   */
  readonly liveInode?: string | undefined;
  /** RFC 3339. */
  readonly keptAt: string;
  readonly until: string;
  /** The time of `keptAt` by a monotonic clock. Earlier versions wrote none. */
  readonly since?: KeptSince | undefined;
  readonly snapshotIds: readonly string[];
  /** True when it was undone: what is kept is then the restored data. */
  readonly isUndone: boolean;
}

export async function writeUndoRecord(stateDir: string, record: UndoRecord): Promise<void> {
  const folder = undoFolder(stateDir);
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncDirectory(path.dirname(folder));
  await writeDurably(path.join(folder, `${record.id}.json`), JSON.stringify({ version: 1, ...record }));
}

/** Oldest first. Leaves out damaged ones. */
export async function listUndoRecords(stateDir: string): Promise<UndoRecord[]> {
  const folder = undoFolder(stateDir);
  const records: UndoRecord[] = [];
  for (const name of await namesIn(folder)) {
    if (!/^[0-9a-f]{16}\.json$/.test(name)) continue;
    const record = parseJson(await readFile(path.join(folder, name), 'utf8').catch(() => ''));
    if (isRecord(record)) records.push(record);
  }
  const order = ({ keptAt, name }: UndoRecord): string => `${keptAt} ${name}`;
  return records.sort((one, other) => (order(one) < order(other) ? -1 : 1));
}

/** The name of a stage's record. */
export function undoIdOf(stage: ByteString): string {
  return stage.slice(-16);
}

/** True when the kept data is still there. */
export async function isUndoable({ stage, inode }: UndoRecord): Promise<boolean> {
  return (await inodeOf(`${stage}/new`)) === inode;
}

/**
 * Deletes kept data: the directory of that inode, in its folder, and nothing else that has taken their names
 * (`conflict`). A kill in the middle leaves a record that brings nothing back, and that can be dropped again.
 */
export async function dropUndo(
  stateDir: string,
  record: UndoRecord,
  { unlessWhole = false }: DropOptions = {},
): Promise<void> {
  using parent = orGone(() => DirectoryHandle.open(parentOf(record.stage)));
  if (parent !== undefined && !(await dropStage(parent, record, unlessWhole))) return;
  await forgetUndo(stateDir, record.id);
}

export interface DropOptions {
  /** It was missing a moment ago, because another program may have moved it. If it is whole, it stays. */
  readonly unlessWhole?: boolean | undefined;
}

/**
 * False when it was left. The user who owns the parent folder may have replaced it, so all work is done in
 * the held directory.
 */
async function dropStage(
  parent: DirectoryHandle,
  record: UndoRecord,
  unlessWhole: boolean,
): Promise<boolean> {
  const name = record.stage.slice(record.stage.lastIndexOf('/') + 1);
  using stage = openStage(parent, { name, record });
  if (stage === undefined) return true;
  const kept = ['new', 'dropped'].find((one) => isKept(stage, one, record.inode));
  const others = readdirSync(toPath(stage.at('.')), { encoding: 'latin1' }).filter((one) => one !== kept);
  if (kept === undefined && others.length > 0) throw somethingElse(record);
  if (kept === 'new' && unlessWhole) return false;
  if (kept === 'new') renameSync(toPath(stage.at('new')), toPath(stage.at('dropped')));
  // The directory that identifies the folder goes last.
  for (const other of others) await removeTreeIn(stage, other);
  await removeTreeIn(stage, 'dropped');
  orGone(() => removeDirectoryAt(parent.fd, name));
  return true;
}

function openStage(
  parent: DirectoryHandle,
  { name, record }: { readonly name: ByteString; readonly record: UndoRecord },
): DirectoryHandle | undefined {
  try {
    return orGone(() => parent.openChild(name));
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR' || errnoOf(error) === 'ELOOP') throw somethingElse(record);
    throw error;
  }
}

/** Device numbers may change with each boot: it must have the one of its folder. */
function isKept(stage: DirectoryHandle, name: ByteString, inode: string): boolean {
  const found = orGone(() => statAt(stage.fd, name));
  return found !== undefined && String(found.ino) === inode && found.dev === stage.stat().dev;
}

function somethingElse({ name, stage }: UndoRecord): AppError {
  return new AppError(
    'conflict',
    `Cannot delete what is kept of ${quote(name)}: ${quote(toPrintable(stage))} is not what was kept`,
    { hint: 'Another program has put something else in its place. Look at it, and delete it by hand.' },
  );
}

export async function forgetUndo(stateDir: string, id: string): Promise<void> {
  await rm(path.join(undoFolder(stateDir), `${id}.json`), { force: true });
}

function undoFolder(stateDir: string): string {
  return path.join(stateDir, 'undo');
}

function isRecord(value: unknown): value is UndoRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { version, id, root, stage, inode, keptAt, until, restoreId } = value as Partial<
    Record<keyof UndoRecord | 'version', unknown>
  >;
  return (
    version === 1 &&
    [id, root, stage, inode, keptAt, until, restoreId].every((field) => typeof field === 'string')
  );
}
