import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Catalog, ManagedVolumeRecord } from '../../catalog/catalog.ts';
import type { CallOptions } from '../../hosts/host.ts';
import { writeDurably } from '../../lib/durable-file.ts';
import { isKeptShorter, type KeptSince, keptSince } from '../../lib/process-identity.ts';
import { mountsWithin, readMounts } from '../../lib/mountinfo.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, errnoOf, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { EmptiedTrash, TrashedVolume } from './managed-volumes.ts';
import { readRecordFile, trashedMark } from './marks.ts';
import { settleVolumes } from './settle-volumes.ts';
import { stateError, type VolumeFolders } from './volume-folders.ts';
import { lockVolumeFolder } from './volume-lock.ts';
import { type Storage, storageOf, unmakeStorage, type VolumeState } from './volume-state.ts';

/** When a volume went into the trash, and when it expires. */
interface TrashTimes {
  /** By the wall clock, RFC 3339. */
  readonly removedAt: string;
  readonly expiresAt: string;
  /** Earlier versions wrote none. */
  readonly since?: KeptSince | undefined;
  /** True when the clock was behind times known to the catalog, so that the time of removal is too early. */
  readonly isClockSlow?: boolean | undefined;
}

export interface TrashedRecord extends ManagedVolumeRecord, TrashTimes {
  /** The volume still exists, and was moved to other storage. */
  readonly isMigrated?: boolean | undefined;
}

export interface Trashed {
  readonly path: string;
  readonly record: TrashedRecord;
}

/** The contents of the trash, newest first. */
export async function listTrashed({ folders }: VolumeState): Promise<Trashed[]> {
  const found: Trashed[] = [];
  for (const entry of await readdir(folders.trashDir)) {
    if (!/\.[0-9a-f]{16}$/.test(entry)) continue;
    const path = join(folders.trashDir, entry);
    const record = await readRecordFile<TrashedRecord>(join(path, trashedMark));
    if (record !== undefined) found.push({ path, record });
  }
  return found.toSorted((left, right) => (left.record.removedAt < right.record.removedAt ? 1 : -1));
}

export async function describeTrashed(state: VolumeState, { path, record }: Trashed): Promise<TrashedVolume> {
  const { traits } = await storageOf(state, record, path);
  const { name, driver, labels, options, createdAt, removedAt, expiresAt } = record;
  const id = path.slice(-16);
  const isRecordOnly = traits.isElsewhere || traits.isFleeting;
  return { id, name, driver, labels, options, createdAt, removedAt, expiresAt, isRecordOnly };
}

/** By the id, the id's start, or a name, which means the newest of that name. */
export function findTrashed(all: readonly Trashed[], which: string): Trashed {
  const byName = all.find(({ record }) => record.name === which);
  const byId = all.filter(({ path }) => which.length >= 4 && path.slice(-16).startsWith(which));
  const found = byName ?? (byId.length === 1 ? byId[0] : undefined);
  if (found !== undefined) return found;
  if (byId.length === 0) throw missingInTrash(which);
  throw new AppError('usage', `Cannot find ${quote(which)}: several in the trash begin like that`, { hint });
}

const hint = 'See what is there with "holdfast trash ls".';

export function missingInTrash(which: string): AppError {
  return new AppError('not-found', `Cannot find ${quote(which)}: it is not in the trash`, { hint });
}

/** Marks the volume's current folder, which goes to the trash once another has taken its place. */
export async function writeMigratedMark(
  state: VolumeState,
  record: ManagedVolumeRecord,
  keepMs: number,
): Promise<void> {
  const trashed: TrashedRecord = { ...trashedRecord(state, record, keepMs), isMigrated: true };
  await writeDurably(join(state.folders.path(record.name), trashedMark), JSON.stringify(trashed));
}

/** The storage that a volume had before its last migration. */
export async function findMigratedFrom(
  state: VolumeState,
  { name, createdAt }: ManagedVolumeRecord,
): Promise<Trashed | undefined> {
  return (await listTrashed(state)).find(
    ({ record }) => record.isMigrated === true && record.name === name && record.createdAt === createdAt,
  );
}

export function trashedRecord(
  { catalog }: VolumeState,
  record: ManagedVolumeRecord,
  keepMs: number,
): TrashedRecord {
  return { ...record, ...trashTimes(catalog, record.createdAt, keepMs) };
}

/** Permanent. A failed deletion does not stop the others; another process may have taken some meanwhile. */
export async function emptyTrash(
  state: VolumeState,
  which: 'expired' | 'all' | readonly string[],
  { signal }: CallOptions,
): Promise<EmptiedTrash> {
  const all = await listTrashed(state);
  const now = new Date().toISOString();
  const chosen =
    which === 'all'
      ? all
      : which === 'expired'
        ? all.filter(({ record }) => record.expiresAt <= now)
        : which.map((one) => findTrashed(all, one));
  const drop = which === 'expired' ? expireTrashed : deleteTrashed;
  const deleted: TrashedVolume[] = [];
  const failures: { name: string; error: AppError }[] = [];
  if (chosen.length > 0) await settleVolumes(state);
  for (const trashed of chosen) {
    try {
      const described = await describeTrashed(state, trashed);
      if (await drop(state, trashed, signal)) deleted.push(described);
    } catch (error) {
      if (isAppError(error, 'cancelled')) throw error;
      failures.push({ name: trashed.record.name, error: explain(trashed, error) });
    }
  }
  return { deleted, failures };
}

function explain({ record: { name } }: Trashed, error: unknown): AppError {
  return stateError(`Cannot delete volume "${name}" from the trash`, error);
}

/**
 * Deletes what has expired, permanently. False for what stays, or has left the trash meanwhile. `conflict`
 * for a volume with files that have not reached its storage.
 */
async function expireTrashed(
  state: VolumeState,
  { path, record: { name } }: Trashed,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  using lock = await lockVolumeFolder(path, { name, action: 'delete', signal });
  const record = lock && (await readRecordFile<TrashedRecord>(join(path, trashedMark)));
  if (record === undefined) return false;
  const decision = decideExpiry(record);
  if (decision === 'wait') {
    const keepMs = Date.parse(record.expiresAt) - Date.parse(record.removedAt);
    const { isClockSlow: _, ...rest } = record;
    const dated: TrashedRecord = { ...rest, ...trashTimes(state.catalog, record.createdAt, keepMs) };
    await writeDurably(join(path, trashedMark), JSON.stringify(dated));
  }
  if (decision !== 'expire') return false;
  const storage = await storageOf(state, record, path);
  // A migration copied all that was written before.
  if (record.isMigrated !== true) await refuseUnsaved(storage, `Volume ${quote(name)} stays in the trash`);
  await deleteStorage(storage, signal);
  return true;
}

/** Permanent. False for what has left the trash meanwhile. */
export async function deleteTrashed(
  state: VolumeState,
  { path, record }: Trashed,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  using lock = await lockVolumeFolder(path, { name: record.name, action: 'delete', signal });
  if (lock === undefined) return false;
  await deleteStorage(await storageOf(state, record, path), signal);
  return true;
}

/**
 * Deletes storage with its folder, whose lock is held. The driver's part first, so that a failure can be
 * tried again. After a kill, each start deletes the rest.
 */
export async function deleteStorage(storage: Storage, signal?: AbortSignal): Promise<void> {
  const { name, folder } = storage.volume;
  await unmakeStorage(storage, signal);
  const removing: TrashedFolder = { path: `${folder}.removing`, volume: name };
  try {
    await rename(folder, removing.path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw stateError(`Cannot delete volume ${quote(name)}`, error);
  }
  await discard(removing, signal);
}

/** Files that are only in the volume's folder, not on its storage, would be deleted with it. */
export async function refuseUnsaved({ driver, volume }: Storage, action: string): Promise<void> {
  const count = (await driver.unsaved?.(volume)) ?? 0;
  if (count === 0) return;
  const files =
    count === 1 ? '1 file that was written to it has' : `${count} files that were written to it have`;
  throw new AppError('conflict', `${action}: ${files} not reached its storage`, {
    hint: 'See whether its storage answers ("holdfast volume health"), and mount it until they are there, as with "holdfast volume browse". To lose them: "holdfast volume rm --lose-unsaved".',
  });
}

/** A volume's folder on its way out. */
export interface TrashedFolder {
  readonly path: string;
  readonly volume: string;
}

/** Deletes a folder in the trash. May be cancelled and repeated. */
export async function discard(folder: TrashedFolder, signal: AbortSignal | undefined): Promise<void> {
  const action = `Cannot delete the data of volume "${folder.volume}"`;
  await refuseMounts(folder.path, action);
  try {
    await removeTree(fromText(folder.path), { signal });
  } catch (error) {
    throw stateError(action, error);
  }
}

const removing = /^(.+)\.[0-9a-f]{16}\.removing$/;

/** The folders that a removal left in the trash. */
export async function listRemoving(folders: VolumeFolders): Promise<TrashedFolder[]> {
  const names = await readdir(folders.trashDir);
  return names.flatMap((name) => {
    const volume = removing.exec(name)?.[1];
    return volume === undefined ? [] : [{ path: join(folders.trashDir, name), volume }];
  });
}

export async function refuseMounts(folder: string, action: string): Promise<void> {
  const [mount] = mountsWithin(await readMounts(), fromText(folder));
  if (mount !== undefined) throw mountedError(action, mount.path);
}

export function mountedError(action: string, path: string): AppError {
  return new AppError('in-use', `${action}: something is mounted at "${path}"`, {
    hint: `Unmount it first: umount "${path}".`,
  });
}

type Seen = Pick<Catalog, 'listRuns' | 'policies'>;

function trashTimes(catalog: Seen, createdAt: string, keepMs: number): TrashTimes {
  const now = Date.now();
  return {
    removedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + keepMs).toISOString(),
    since: keptSince(),
    ...(now < latestSeen(catalog, createdAt) && { isClockSlow: true }),
  };
}

/** `wait` means that its time starts when it is found after the machine's next start. */
function decideExpiry(times: TrashTimes): 'keep' | 'expire' | 'wait' {
  const { removedAt, expiresAt, since, isClockSlow } = times;
  const keepMs = Date.parse(expiresAt) - Date.parse(removedAt);
  if (isKeptShorter(since, keepMs) || expiresAt > new Date().toISOString()) return 'keep';
  // In this run of the machine, the monotonic clock says that its time has passed too.
  return isClockSlow === true && since?.boot !== keptSince().boot ? 'wait' : 'expire';
}

/** The latest time in the catalog, of several runs: the last ones may have used the slow clock too. */
function latestSeen(catalog: Seen, createdAt: string): number {
  const limit = 50;
  const moments = [
    createdAt,
    ...catalog.listRuns({ limit }).map(({ finishedAt }) => finishedAt),
    ...catalog.policies.listRuns({ limit }).map(({ startedAt }) => startedAt),
  ];
  return Math.max(0, ...moments.map((moment) => Date.parse(moment)).filter((time) => !Number.isNaN(time)));
}
