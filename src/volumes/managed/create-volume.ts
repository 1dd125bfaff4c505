import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedVolumeRecord } from '../../catalog/catalog.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { writeDurably } from '../../lib/durable-file.ts';
import { emptyDirectory, removeTree } from '../../lib/remove-tree.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import { checkOwnName } from '../../model/volume-name.ts';
import type { CallOptions } from '../../hosts/host.ts';
import { type VolumeState, isPlain, kindOf, type Storage, storageOf, unmakeStorage } from './volume-state.ts';
import { readRecordFile } from './marks.ts';
import { moveRemoved } from './finish-unsettled.ts';
import { lockVolumeFolder } from './volume-lock.ts';
import { setImmutable, stateError } from './volume-folders.ts';

const anonymousLabel = 'com.docker.volume.anonymous';

/** While a driver makes a volume, this file in its folder says what it makes. */
export const creatingMark = 'creating.json';

export interface CreateOptions extends CallOptions {
  /** Throws unless the existing volume agrees with the request. */
  readonly existing: (record: ManagedVolumeRecord) => Promise<void>;
  /** Called when something was made that is not on disk yet: it is waited for later. */
  readonly settleSoon: () => void;
}

/** Makes a volume, or finds the existing one. */
export async function createVolume(
  state: VolumeState,
  spec: VolumeSpec,
  { signal, existing, settleSoon }: CreateOptions,
): Promise<{ readonly record: ManagedVolumeRecord; readonly isNew: boolean }> {
  const record = await recordFor(state, spec);
  const { name } = record;
  if (signal?.aborted === true)
    throw new AppError('cancelled', `Cannot create volume "${name}": cancelled`, { cause: signal.reason });
  for (;;) {
    const found = state.catalog.findManagedVolume(name);
    if (found !== undefined) {
      await existing(found);
      // Another process may be about to make it durable.
      if (state.catalog.unsettled.find(name) !== undefined) state.catalog.unsettled.sync();
      return { record: found, isNew: false };
    }
    state.folders.makeFolder(name);
    using lock = await lockVolumeFolder(state.folders.path(name), { name, action: 'create', signal });
    // Removed, or made by another process, between the two lines above: start again.
    if (lock === undefined) continue;
    // An empty folder, the usual case, holds no earlier try, no foreign data, and no volume.
    const isEmpty = readdirSync(state.folders.path(name)).length === 0;
    if (!isEmpty && state.catalog.findManagedVolume(name) !== undefined) continue;
    // The process that removed the previous volume was killed meanwhile.
    if (!isEmpty && (await moveRemoved(state, name))) continue;
    if (isEmpty && !isMarked(record) && makeSoon(state, record)) settleSoon();
    else await make(state, record, { isEmpty, signal });
    return { record, isNew: true };
  }
}

/**
 * Records durably that the directories have to exist, and lets them reach the disk when the kernel writes
 * them. False where that is not possible, and then nothing was written.
 */
function makeSoon(state: VolumeState, record: ManagedVolumeRecord): boolean {
  const { catalog, folders } = state;
  if (!folders.makeData(record.name) || folders.settlingBoot === undefined) return false;
  return catalog.unsettled.add(record, folders.settlingBoot);
}

interface Making {
  readonly isEmpty: boolean;
  readonly signal: AbortSignal | undefined;
}

async function make(
  state: VolumeState,
  record: ManagedVolumeRecord,
  { isEmpty, signal }: Making,
): Promise<void> {
  const { name } = record;
  const folder = state.folders.path(name);
  if (!isEmpty) await settleEarlierTry(state, name);
  await state.folders.create(name);
  if (!isEmpty) await refuseForeignData(state, name);
  const isSimple = !isMarked(record);
  const mark = join(folder, creatingMark);
  if (!isSimple) await writeDurably(mark, JSON.stringify(record));
  const storage = isSimple ? undefined : await storageOf(state, record);
  try {
    await storage?.driver.create(storage.volume, { signal });
    if (storage?.traits.isMounted === true) await closeBelow(storage.volume.mountpoint);
    if (state.catalog.addManagedVolume(record)) {
      if (!isSimple) await rm(mark, { force: true });
      return;
    }
  } catch (error) {
    if (storage !== undefined) await undoCreate(storage);
    throw isAppError(error) ? error : stateError(`Cannot create volume "${name}"`, error);
  }
  throw new AppError('failed', `Cannot create volume "${name}": it was made at the same moment`, {
    hint: 'Try again.',
  });
}

/** True when its creation takes more than one step. */
export function isMarked(record: ManagedVolumeRecord): boolean {
  return !isPlain(record) || Object.keys(record.options).length > 0;
}

/** What is written while nothing is mounted would be hidden later, so no process may write there. */
export async function closeBelow(mountpoint: string): Promise<void> {
  await chmod(mountpoint, 0o000);
  setImmutable(mountpoint, true);
}

/** Removes what an unfinished create has made. */
export async function undoCreate(storage: Storage): Promise<void> {
  await unmakeStorage(storage);
  await removeTree(fromText(storage.volume.folder));
}

/** A killed create left a mark: what it made is removed first. */
async function settleEarlierTry(state: VolumeState, name: string): Promise<void> {
  const left = await readCreatingMark(state.folders.path(name));
  if (left === undefined) return;
  const storage = await storageOf(state, left);
  await unmakeStorage(storage);
  using handle = DirectoryHandle.open(fromText(storage.volume.folder));
  await emptyDirectory(handle);
}

export async function readCreatingMark(folder: string): Promise<ManagedVolumeRecord | undefined> {
  return await readRecordFile(join(folder, creatingMark));
}

/** Data without a record may be needed: a new volume must neither show nor hide it. */
async function refuseForeignData(state: VolumeState, name: string): Promise<void> {
  const others = (await readdir(state.folders.path(name))).filter((entry) => entry !== '_data');
  if (others.length === 0 && (await state.folders.isEmpty(name))) return;
  throw new AppError('exists', `Cannot create volume "${name}": there is data in its place already`, {
    hint: `Move "${state.folders.path(name)}" away, or choose another name.`,
  });
}

async function recordFor(state: VolumeState, spec: VolumeSpec): Promise<ManagedVolumeRecord> {
  const name = spec.name ?? randomBytes(32).toString('hex');
  checkOwnName(name);
  const driver = spec.driver === '' || spec.driver === 'holdfast' ? 'local' : spec.driver;
  const anonymous = spec.name === undefined;
  return {
    name,
    driver,
    createdAt: new Date().toISOString(),
    labels: anonymous ? { ...spec.labels, [anonymousLabel]: '' } : spec.labels,
    options: await keptOptions(state, { ...spec, name, driver }),
    anonymous,
  };
}

/** The options as the driver stores them. */
export async function keptOptions(
  state: VolumeState,
  { name, driver, options }: Pick<ManagedVolumeRecord, 'name' | 'driver' | 'options'>,
  action = 'create',
): Promise<Readonly<Record<string, string>>> {
  if (driver === 'local' && Object.keys(options).length === 0) return options;
  try {
    const checked = await state.drivers.get(kindOf({ driver, options }));
    return checked.check(options);
  } catch (error) {
    if (!isAppError(error)) throw error;
    throw new AppError(error.code, `Cannot ${action} volume ${quote(name)}: ${error.message}`, {
      detail: error.detail,
      hint: error.hint,
      cause: error,
    });
  }
}
