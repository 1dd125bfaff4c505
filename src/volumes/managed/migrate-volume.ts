import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedVolumeRecord } from '../../catalog/catalog.ts';
import { syncDirectory } from '../../lib/durable-file.ts';
import { exchange } from '../../lib/exchange.ts';
import { syncFilesystemLater } from '../../lib/posix.ts';
import { untilShort } from '../../lib/until-short.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { CallOptions } from '../../hosts/host.ts';
import type { ManagedVolumes, MigrationSteps } from './managed-volumes.ts';
import { closeBelow } from './create-volume.ts';
import { type VolumeState, requireRecord, type Storage, storageOf } from './volume-state.ts';
import { withVolume } from './with-volume.ts';
import { processHoldId } from './hold-id.ts';
import {
  hasMigrationMark,
  recordMigration,
  removeMarks,
  removeMigrationMark,
  trashedMark,
  writeMigrationMark,
} from './marks.ts';
import { liveIds, mountStorage, requireUnused, unmountStorage } from './mount-volume.ts';
import { isOutsideMissing, noteOutside } from './outside-target.ts';
import { giveUpStage } from './settle-migrations.ts';
import { stateError } from './volume-folders.ts';
import { lockVolumeFolder } from './volume-lock.ts';
import { findMigratedFrom, writeMigratedMark } from './trash.ts';

interface Migration {
  readonly record: ManagedVolumeRecord;
  /** Holds the volume mounted while it is copied. */
  readonly holdId: string;
  readonly steps: MigrationSteps;
  readonly signal: AbortSignal | undefined;
  readonly keepMs: number;
}

export interface MigrateOptions extends CallOptions {
  readonly steps: MigrationSteps;
  /** How long the old storage stays in the trash. */
  readonly keepMs: number;
  readonly volumes: Pick<ManagedVolumes, 'mount' | 'unmount'>;
}

/** Moves a volume to other storage, which is filled during use. The driver has checked the options. */
export async function migrateVolume(
  state: VolumeState,
  { name, driver, options }: Pick<ManagedVolumeRecord, 'name' | 'driver' | 'options'>,
  { steps, signal, keepMs, volumes }: MigrateOptions,
): Promise<void> {
  const holdId = processHoldId();
  const from = await volumes.mount(name, holdId, { signal });
  try {
    const record = requireRecord(state, { name, action: 'migrate' });
    const migration: Migration = { record, holdId, steps, signal, keepMs };
    await using stage = await openStage(state, { ...record, driver, options }, signal);
    const { storage } = stage;
    const writeDown = (): Promise<void> => untilShort(() => syncStorage(storage), { shortMs: 100, most: 4 });
    await steps.seed({ from, to: storage.volume.mountpoint, writeDown });
    // Less is left to sync while the volume may not be used. Once is enough: later changes are copied then.
    await syncStorage(storage);
    await using _still = await steps.makeStill();
    await waitUntilUnused(state, migration);
    await withVolume(state, { name, action: 'migrate', signal }, (live) =>
      cutOver(state, { ...migration, live, stage: storage }),
    );
    // The folder is now the volume's, and containers that are starting wait for its lock.
    stage.letGo();
  } finally {
    await volumes.unmount(name, holdId);
  }
}

/** Moves a volume back to the storage that it had before its last move. */
export async function migrateVolumeBack(
  state: VolumeState,
  name: string,
  {
    steps,
    signal,
    keepMs,
  }: Pick<MigrateOptions, 'signal' | 'keepMs'> & {
    readonly steps: Pick<MigrationSteps, 'makeStill'>;
  },
): Promise<void> {
  const record = requireRecord(state, { name, action: 'migrate' });
  const kept = await findMigratedFrom(state, record);
  const lock = kept && (await lockVolumeFolder(kept.path, { name, action: 'migrate', signal }));
  if (kept === undefined || lock === undefined)
    throw new AppError(
      'not-found',
      `Cannot move volume ${quote(name)} back: what it was before is not kept`,
      {
        hint: 'It is in the trash for a while after a migration: "holdfast trash ls".',
      },
    );
  using own = new DisposableStack();
  own.use(lock);
  const before = { ...record, driver: kept.record.driver, options: kept.record.options };
  await writeMigrationMark(kept.path, before);
  try {
    await using _still = await steps.makeStill();
    await waitUntilUnused(state, { record, holdId: '', signal });
    await withVolume(state, { name, action: 'migrate', signal }, async (live) => {
      requireSame(record, live.record);
      await requireUnused(state, live, { action: 'migrate', signal });
      await swap(state, live, { path: kept.path, keepMs });
    });
    // The folder is now the volume's, and containers that are starting wait for its lock.
    own.dispose();
  } finally {
    if (hasMigrationMark(kept.path)) await removeMigrationMark(kept.path);
  }
}

interface Stage extends AsyncDisposable {
  readonly storage: Storage;
  /** The stage has become the volume's: disposing removes nothing. */
  letGo(): void;
}

/**
 * Makes the new storage, mounted and empty, in the trash folder, where nothing takes it for a volume.
 * Disposing removes it unless it has become one.
 */
async function openStage(
  state: VolumeState,
  record: ManagedVolumeRecord,
  signal: AbortSignal | undefined,
): Promise<Stage> {
  const { name } = record;
  const path = join(state.folders.trashDir, `${name}.${randomBytes(8).toString('hex')}`);
  using locks = new DisposableStack();
  await using opened = new AsyncDisposableStack();
  try {
    await mkdir(path, { mode: 0o711 });
    const lock = await lockVolumeFolder(path, { name, action: 'migrate', signal });
    if (lock === undefined) throw new AppError('failed', `Cannot migrate volume ${quote(name)}: try again`);
    locks.use(lock);
    // From here on, the next start removes what a kill leaves.
    await writeMigrationMark(path, record);
    await syncDirectory(state.folders.trashDir);
    opened.defer(() => (hasMigrationMark(path) ? giveUpStage(state, path, record) : undefined));
    const storage = await storageOf(state, record, path);
    await makeStorage(storage, signal);
    const whole = new AsyncDisposableStack();
    const locked = whole.adopt(locks.move(), (stack) => stack.dispose());
    whole.use(opened.move());
    return {
      storage,
      letGo() {
        whole.move();
        locked.dispose();
      },
      [Symbol.asyncDispose]: () => whole.disposeAsync(),
    };
  } catch (error) {
    throw stateError(`Cannot migrate volume ${quote(name)}`, error);
  }
}

async function makeStorage(storage: Storage, signal: AbortSignal | undefined): Promise<void> {
  const { driver, traits, volume } = storage;
  await mkdir(volume.mountpoint);
  await chmod(volume.mountpoint, 0o755);
  const wasMissing = await isOutsideMissing(storage);
  await driver.create(volume, { signal });
  if (traits.isMounted) await closeBelow(volume.mountpoint);
  await mountStorage(storage, { signal });
  // If it cannot be removed, that is detected below.
  await rmdir(join(volume.mountpoint, 'lost+found')).catch(() => undefined);
  const [found] = await readdir(volume.mountpoint);
  if (found === undefined) return await noteOutside(storage, wasMissing);
  throw new AppError(
    'conflict',
    `Cannot migrate volume ${quote(volume.name)}: there is something on the new storage already`,
    { detail: found, hint: 'Empty it, or choose other storage.' },
  );
}

const patienceMs = 30_000;

/** An engine releases a volume a moment after its container has exited. */
async function waitUntilUnused(
  state: VolumeState,
  { record, holdId, signal }: Pick<Migration, 'record' | 'holdId' | 'signal'>,
): Promise<void> {
  const until = performance.now() + patienceMs;
  const others = (): string[] =>
    liveIds(state.catalog.volumes.listHolds(record.name)).filter((id) => id !== holdId);
  while (others().length > 0 && performance.now() < until) {
    if (signal?.aborted === true) throw cancelled(record.name);
    await sleep(50);
  }
}

interface CutOver extends Migration {
  readonly live: Storage;
  readonly stage: Storage;
}

/** The lock is held: a process that wants to mount the volume waits, and finds it on its new storage. */
async function cutOver(state: VolumeState, migration: CutOver): Promise<void> {
  const { record, holdId, steps, signal, keepMs, live, stage } = migration;
  requireSame(record, live.record);
  const { name } = record;
  const [other] = liveIds(state.catalog.volumes.listHolds(name)).filter((id) => id !== holdId);
  // This call throws and names the holder; our own hold must not be named.
  if (other !== undefined) {
    state.catalog.volumes.release(name, holdId);
    await requireUnused(state, live, { action: 'migrate', signal });
  }
  await steps.finish({ from: live.volume.mountpoint, to: stage.volume.mountpoint });
  await syncStorage(stage);
  if (signal?.aborted === true) throw cancelled(name);
  await unmountStorage(stage, {});
  // A file system in user space, or on an image, leaves the last writes to the disk below.
  await syncDisk(stage.volume.folder, name);
  state.catalog.volumes.release(name, holdId);
  await requireUnused(state, live, { action: 'migrate', signal });
  await swap(state, live, { path: stage.volume.folder, keepMs });
}

/** The volume may have been removed and recreated under its name meanwhile. */
function requireSame(record: ManagedVolumeRecord, now: ManagedVolumeRecord): void {
  if (record.createdAt === now.createdAt && record.driver === now.driver) return;
  throw new AppError('conflict', `Cannot migrate volume ${quote(record.name)}: it is another one by now`, {
    hint: 'See what it is with "holdfast volume inspect", and try again.',
  });
}

async function syncStorage({ volume }: Storage): Promise<void> {
  await syncDisk(volume.mountpoint, volume.name);
  await syncDisk(volume.folder, volume.name);
}

async function syncDisk(path: string, name: string): Promise<void> {
  await using folder = await open(path, 'r');
  if (await syncFilesystemLater(folder.fd)) return;
  throw new AppError('failed', `Cannot migrate volume ${quote(name)}: the new disk reports an error`, {
    hint: 'It may be full, or bad: see what the kernel says of it (dmesg).',
  });
}

/**
 * Puts the folder into the volume's place, and the old one into the trash, by one atomic step. Both are
 * locked, and not mounted.
 */
async function swap(
  state: VolumeState,
  live: Storage,
  { path, keepMs }: { readonly path: string; readonly keepMs: number },
): Promise<void> {
  const { name } = live.record;
  const here = state.folders.path(name);
  try {
    await writeMigratedMark(state, live.record, keepMs);
    exchange(fromText(here), fromText(path));
  } catch (error) {
    await rm(join(here, trashedMark), { force: true });
    throw swapError(name, error);
  }
  try {
    await syncDirectory(state.folders.volumesDir);
    await syncDirectory(state.folders.trashDir);
    await recordMigration(state, name);
  } catch (error) {
    // Decided, though it cannot be recorded: a full disk must not keep the volume from its containers.
    exchange(fromText(here), fromText(path));
    await rm(join(here, trashedMark), { force: true });
    throw swapError(name, error);
  }
  // The next use removes marks that are left.
  await removeMarks(state, name).catch(() => undefined);
}

function swapError(name: string, error: unknown): AppError {
  const action = `Cannot migrate volume ${quote(name)}`;
  const errno = errnoOf(error);
  if (errno !== 'EINVAL' && errno !== 'ENOSYS') return stateError(action, error);
  return new AppError('unsupported', `${action}: the disk of the state folder cannot exchange two folders`, {
    hint: 'Have the state folder on ext4, XFS or btrfs.',
    cause: error,
  });
}

function cancelled(name: string): AppError {
  return new AppError('cancelled', `Cannot migrate volume ${quote(name)}: cancelled`);
}
