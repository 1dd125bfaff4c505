import type { Catalog, EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import type { Driver, DriverKind, Drivers, DriverTraits, DriverVolume } from '../../drivers/driver.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { storageKind } from '../../model/storage-kind.ts';
import type { VolumeEvent } from '../../hosts/managed-volumes.ts';
import { finishMigration, hasMigrationMark } from './migration-mark.ts';
import { settleVolume } from './settle-volumes.ts';
import { lockVolumeFolder } from './volume-lock.ts';
import type { VolumeFolders } from './volume-folders.ts';

/** What the work on volumes shares. */
export interface EmbeddedParts {
  readonly folders: VolumeFolders;
  readonly catalog: Catalog;
  readonly drivers: Drivers;
  readonly trashKeepMs: number;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Something was made or removed that is not on the disk: it is waited for later. */
  settleSoon(): void;
  emit(event: Omit<VolumeEvent, 'at' | 'volume'> & { readonly name: string }): Promise<void>;
}

/** A volume with what works on it. */
export interface Storage {
  readonly record: EmbeddedVolumeRecord;
  readonly driver: Driver;
  readonly traits: DriverTraits;
  readonly volume: DriverVolume;
}

export async function storageOf(
  parts: Pick<EmbeddedParts, 'drivers' | 'folders'>,
  record: EmbeddedVolumeRecord,
  folder: string = parts.folders.path(record.name),
): Promise<Storage> {
  const driver = await parts.drivers.get(kindOf(record));
  const { name, options } = record;
  return {
    record,
    driver,
    traits: driver.traits(options),
    volume: { name, options, folder, mountpoint: `${folder}/_data` },
  };
}

/** Volumes that are a directory and nothing else: no driver need be loaded for them. */
export function isPlain({ driver, options }: Pick<EmbeddedVolumeRecord, 'driver' | 'options'>): boolean {
  return driver === 'local' && options['type'] === undefined && options['size'] === undefined;
}

export function kindOf(record: Pick<EmbeddedVolumeRecord, 'driver' | 'options'>): DriverKind {
  return storageKind(record) as DriverKind;
}

export interface VolumeWork {
  readonly name: string;
  /** `remove`, for messages. */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
}

/** Does work on a volume while nobody else works on it. `not-found` when there is none, `integrity` when its folder is gone. */
export async function withVolume<T>(
  parts: EmbeddedParts,
  { name, action, signal }: VolumeWork,
  work: (storage: Storage) => Promise<T>,
): Promise<T> {
  requireRecord(parts, { name, action });
  using lock = await lockVolumeFolder(parts.folders.path(name), { name, action, signal });
  if (lock !== undefined && hasMigrationMark(parts.folders.path(name))) await finishMigration(parts, name);
  // It may have been removed, or changed, while we waited.
  const record = requireRecord(parts, { name, action });
  if (lock === undefined) await parts.folders.check(name);
  await settleVolume(parts, name);
  return await work(await storageOf(parts, record));
}

export function requireRecord(
  parts: Pick<EmbeddedParts, 'catalog'>,
  { name, action }: Pick<VolumeWork, 'name' | 'action'>,
): EmbeddedVolumeRecord {
  const record = parts.catalog.findEmbeddedVolume(name);
  if (record !== undefined) return record;
  throw new AppError('not-found', `Cannot ${action} volume ${quote(name)}: no such volume`, {
    hint: 'List what there is with "holdfast volume ls".',
  });
}
