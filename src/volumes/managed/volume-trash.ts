import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import { syncDirectory, writeDurably } from '../../lib/durable-file.ts';
import { setImmutable } from './immutable.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { protectedError } from '../../model/protected-error.ts';
import { quote } from '../../model/quote.ts';
import { checkOwnName } from '../../model/volume-name.ts';
import type { CallOptions } from '../../hosts/host.ts';
import type { TrashedVolume } from '../../hosts/managed-volumes.ts';
import { type EmbeddedParts, isPlain, requireRecord, type Storage, storageOf } from './embedded-parts.ts';
import { finishMigration, hasMigrationMark } from './migration-mark.ts';
import { requireUnused } from './mount-volume.ts';
import { readRecordFile, trashedMark } from './record-file.ts';
import { discard, moveToTrash, type TrashedFolder } from './removing-folders.ts';
import { removeSoon } from './remove-soon.ts';
import { isBeingRenamed } from './rename-volume.ts';
import { syncAll } from './sync-all.ts';
import { carryLineage } from './trash-lineage.ts';
import { changeOf, type TrashTimes, trashTimes } from './trash-times.ts';
import { stateError } from './volume-folders.ts';
import { lockVolumeFolder } from './volume-lock.ts';

export interface TrashedRecord extends EmbeddedVolumeRecord, TrashTimes {
  /** The volume is still there, and was moved to other storage. */
  readonly isMigrated?: boolean | undefined;
}

/** Takes a volume away: into the trash, or for good. */
export async function removeVolume(
  parts: EmbeddedParts,
  name: string,
  {
    permanent,
    losesUnsaved,
    signal,
  }: CallOptions & { readonly permanent: boolean; readonly losesUnsaved: boolean },
): Promise<void> {
  requireRecord(parts, { name, action: 'remove' });
  using lock = await lockVolumeFolder(parts.folders.path(name), { name, action: 'remove', signal });
  if (lock !== undefined && hasMigrationMark(parts.folders.path(name))) await finishMigration(parts, name);
  const record = requireRecord(parts, { name, action: 'remove' });
  if (parts.catalog.volumes.isProtected(parts.catalog.stateId(), name)) throw protectedError(name);
  if (lock === undefined && isBeingRenamed(parts, name)) {
    throw new AppError('locked', `Cannot remove volume ${quote(name)}: it is being renamed`, {
      hint: 'Remove it under its new name.',
    });
  }
  // Its folder is gone: nothing is left but the record.
  if (lock === undefined) return forget(parts, name);
  const storage = await storageOf(parts, record);
  await requireUnused(parts, storage, { action: 'remove', signal });
  if (!losesUnsaved) await refuseUnsaved(storage, `Cannot remove volume ${quote(name)}`);
  if (permanent && isPlain(record)) {
    const folder = await moveToTrash(parts.folders, name);
    forget(parts, name);
    // From here on the volume is gone; what is left of the work is done at the next start when we do not get to it.
    if (folder !== undefined) await discard(folder, signal);
    return;
  }
  const isSoon = !permanent && isPlain(record) && parts.folders.settlingBoot !== undefined;
  if (isSoon) await removeSoon(parts, record, trashedRecord(parts, record, parts.trashKeepMs));
  else await intoTrash(parts, record, { permanent, signal });
}

/** What is in the volume's folder only would be deleted with it. */
async function refuseUnsaved({ driver, volume }: Storage, action: string): Promise<void> {
  const count = (await driver.unsaved?.(volume)) ?? 0;
  if (count === 0) return;
  const files =
    count === 1 ? '1 file that was written to it has' : `${count} files that were written to it have`;
  throw new AppError('conflict', `${action}: ${files} not reached its storage`, {
    hint: 'See whether its storage answers ("holdfast volume health"), and mount it until they are there, as with "holdfast volume browse". To lose them: "holdfast volume rm --lose-unsaved".',
  });
}

async function intoTrash(
  parts: EmbeddedParts,
  record: EmbeddedVolumeRecord,
  { permanent, signal }: CallOptions & { readonly permanent: boolean },
): Promise<void> {
  const { folders } = parts;
  const trashed = trashedRecord(parts, record, permanent ? 0 : parts.trashKeepMs);
  const path = join(folders.trashDir, `${record.name}.${randomBytes(8).toString('hex')}`);
  const mark = join(path, trashedMark);
  try {
    writeFileSync(join(folders.path(record.name), trashedMark), JSON.stringify(trashed), { mode: 0o600 });
    renameSync(folders.path(record.name), path);
    // All of it before the record goes. Where the rename alone was durable, the next start takes it back.
    await syncAll([mark, path, folders.volumesDir, folders.trashDir]);
    forget(parts, record.name);
    // The lock of the folder went along with it.
    if (permanent) await deleteLocked(parts, { path, record: trashed }, signal);
  } catch (error) {
    throw stateError(`Cannot remove volume ${quote(record.name)}`, error);
  }
}

function trashedRecord(
  { catalog }: Pick<EmbeddedParts, 'catalog'>,
  record: EmbeddedVolumeRecord,
  keepMs: number,
): TrashedRecord {
  return { ...record, ...trashTimes(catalog, record.createdAt, keepMs) };
}

/** The folder, which is the volume's now, is to be in the trash once another has taken its place. */
export async function writeMigratedMark(
  parts: Pick<EmbeddedParts, 'folders' | 'catalog' | 'trashKeepMs'>,
  record: EmbeddedVolumeRecord,
): Promise<void> {
  const trashed: TrashedRecord = { ...trashedRecord(parts, record, parts.trashKeepMs), isMigrated: true };
  await writeDurably(join(parts.folders.path(record.name), trashedMark), JSON.stringify(trashed));
}

/** The storage that a volume had before its last migration. */
export async function findMigratedFrom(
  parts: Pick<EmbeddedParts, 'folders'>,
  { name, createdAt }: EmbeddedVolumeRecord,
): Promise<Trashed | undefined> {
  return (await listTrashed(parts)).find(
    ({ record }) => record.isMigrated === true && record.name === name && record.createdAt === createdAt,
  );
}

function forget({ catalog }: Pick<EmbeddedParts, 'catalog'>, name: string): void {
  catalog.removeEmbeddedVolume(name);
  for (const { id } of catalog.volumes.listHolds(name)) catalog.volumes.release(name, id);
}

export interface Trashed {
  readonly path: string;
  readonly record: TrashedRecord;
}

/** Puts back what lies in the trash without a word of why, while its record stands and its place is free. */
export async function takeBackUnmarked(parts: Pick<EmbeddedParts, 'catalog' | 'folders'>): Promise<void> {
  const { folders, catalog } = parts;
  for (const entry of await readdir(folders.trashDir)) {
    const name = /^(.+)\.[0-9a-f]{16}$/.exec(entry)?.[1];
    if (name === undefined || catalog.findEmbeddedVolume(name) === undefined) continue;
    const path = join(folders.trashDir, entry);
    if ((await readRecordFile(join(path, trashedMark))) !== undefined || hasMigrationMark(path)) continue;
    try {
      renameSync(path, folders.path(name));
      await rm(join(folders.path(name), trashedMark), { force: true });
      await syncAll([folders.volumesDir, folders.trashDir]);
    } catch (error) {
      // There is a volume of that name, and this is none that anybody knows of.
      if (!['EEXIST', 'ENOTEMPTY', 'ENOENT'].includes(errnoOf(error) ?? ''))
        throw stateError(`Cannot put volume ${quote(name)} back`, error);
    }
  }
}

/** What is in the trash, the newest first. */
export async function listTrashed({ folders }: Pick<EmbeddedParts, 'folders'>): Promise<Trashed[]> {
  const found: Trashed[] = [];
  for (const entry of await readdir(folders.trashDir)) {
    if (!/\.[0-9a-f]{16}$/.test(entry)) continue;
    const path = join(folders.trashDir, entry);
    const record = await readRecordFile<TrashedRecord>(join(path, trashedMark));
    if (record !== undefined) found.push({ path, record });
  }
  return found.toSorted((left, right) => (left.record.removedAt < right.record.removedAt ? 1 : -1));
}

export async function describeTrashed(
  parts: EmbeddedParts,
  { path, record }: Trashed,
): Promise<TrashedVolume> {
  const { traits } = await storageOf(parts, record, path);
  const { name, driver, labels, options, createdAt, removedAt, expiresAt } = record;
  const id = path.slice(-16);
  const isRecordOnly = traits.isElsewhere || traits.isFleeting;
  return { id, name, driver, labels, options, createdAt, removedAt, expiresAt, isRecordOnly };
}

/** By the id, its start, or the name of the newest of that name. */
export function findTrashed(all: readonly Trashed[], which: string): Trashed {
  const byName = all.find(({ record }) => record.name === which);
  const byId = all.filter(({ path }) => which.length >= 4 && path.slice(-16).startsWith(which));
  const found = byName ?? (byId.length === 1 ? byId[0] : undefined);
  if (found !== undefined) return found;
  if (byId.length === 0) throw missing(which);
  throw new AppError('usage', `Cannot find ${quote(which)}: several in the trash begin like that`, { hint });
}

const hint = 'See what is there with "holdfast trash ls".';

function missing(which: string): AppError {
  return new AppError('not-found', `Cannot find ${quote(which)}: it is not in the trash`, { hint });
}

/** Back to where it was, under its name or another. */
export async function restoreTrashed(
  parts: EmbeddedParts,
  { path, record }: Trashed,
  { to = record.name, signal }: CallOptions & { readonly to?: string | undefined },
): Promise<string> {
  const action = `Cannot restore volume ${quote(record.name)} from the trash`;
  checkOwnName(to);
  const { folders } = parts;
  // Whoever deletes it for good destroys its keys first.
  using own = await lockVolumeFolder(path, { name: record.name, action: 'restore', signal });
  if (own === undefined) throw missing(record.name);
  await folders.createFolder(to);
  using _lock = await lockVolumeFolder(folders.path(to), { name: to, action: 'restore', signal });
  if (parts.catalog.findEmbeddedVolume(to) !== undefined) throw taken(action, to);
  try {
    // Of what lies here durably nothing is left to be finished: else the next start would take it for one that still has
    // to be moved to the trash. That is durable before the folder moves.
    await syncAll([join(path, trashedMark), path, folders.volumesDir, folders.trashDir]);
    parts.catalog.unsettled.endRemovals([basename(path)]);
    parts.catalog.unsettled.sync();
    await rename(path, folders.path(to));
  } catch (error) {
    throw errnoOf(error) === 'ENOTEMPTY' ? taken(action, to) : stateError(action, error);
  }
  await syncDirectory(folders.trashDir);
  await finishRestore(parts, to);
  return to;
}

/** The folder is back: the record follows. May be repeated; nothing for a folder that is not on its way back. */
export async function finishRestore(
  parts: Pick<EmbeddedParts, 'catalog' | 'folders'>,
  name: string,
): Promise<void> {
  const mark = join(parts.folders.path(name), trashedMark);
  const record = await readRecordFile<TrashedRecord>(mark);
  if (record === undefined) return;
  await syncDirectory(parts.folders.volumesDir);
  const { driver, createdAt, labels, options, anonymous } = record;
  if (record.name !== name) {
    // Before its record: a kill in between repeats both.
    const inTrash = (await listTrashed(parts)).map((other) => other.record.name);
    carryLineage(parts.catalog, { record, to: name, inTrash });
  }
  parts.catalog.addEmbeddedVolume({ name, driver, createdAt, labels, options, anonymous });
  await rm(mark, { force: true });
}

function taken(action: string, to: string): AppError {
  return new AppError('exists', `${action}: the name ${quote(to)} is taken`, {
    hint: 'Choose another name with --to.',
  });
}

/**
 * For good, when its time has passed. False for one that stays, or has left the trash meanwhile. `conflict` for one with
 * files that have not reached its storage.
 */
export async function expireTrashed(
  parts: EmbeddedParts,
  { path, record: { name } }: Trashed,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  using lock = await lockVolumeFolder(path, { name, action: 'delete', signal });
  const record = lock && (await readRecordFile<TrashedRecord>(join(path, trashedMark)));
  if (record === undefined) return false;
  const change = changeOf(record);
  if (change === 'wait') {
    const keepMs = Date.parse(record.expiresAt) - Date.parse(record.removedAt);
    const { isClockSlow: _, ...rest } = record;
    const dated: TrashedRecord = { ...rest, ...trashTimes(parts.catalog, record.createdAt, keepMs) };
    await writeDurably(join(path, trashedMark), JSON.stringify(dated));
  }
  if (change !== 'expire') return false;
  // What a migration has left was copied with all that was written.
  if (record.isMigrated !== true)
    await refuseUnsaved(await storageOf(parts, record, path), `Volume ${quote(name)} stays in the trash`);
  await deleteLocked(parts, { path, record }, signal);
  return true;
}

/** For good. The driver first: what is left when it fails can be tried again. False for what has left the trash meanwhile. */
export async function deleteTrashed(
  parts: EmbeddedParts,
  { path, record }: Trashed,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  using lock = await lockVolumeFolder(path, { name: record.name, action: 'delete', signal });
  if (lock === undefined) return false;
  await deleteLocked(parts, { path, record }, signal);
  return true;
}

async function deleteLocked(
  parts: EmbeddedParts,
  { path, record }: Trashed,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { driver, volume } = await storageOf(parts, record, path);
  await driver.remove(volume, { signal });
  setImmutable(volume.mountpoint, false);
  const removing: TrashedFolder = { path: `${path}.removing`, volume: record.name };
  try {
    await rename(path, removing.path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw stateError(`Cannot delete volume ${quote(record.name)}`, error);
  }
  await discard(removing, signal);
}
