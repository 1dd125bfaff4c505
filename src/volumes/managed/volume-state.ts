import type { Catalog, ManagedVolumeRecord } from '../../catalog/catalog.ts';
import type { Driver, DriverKind, Drivers, DriverTraits, DriverVolume } from '../../drivers/driver.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { storageKind } from '../../model/storage-kind.ts';
import { setImmutable, type VolumeFolders } from './volume-folders.ts';

/** Where the volumes are: their folders, the catalog, and the drivers of their storage. */
export interface VolumeState {
  readonly folders: VolumeFolders;
  readonly catalog: Catalog;
  readonly drivers: Drivers;
}

/** A volume with its driver. */
export interface Storage {
  readonly record: ManagedVolumeRecord;
  readonly driver: Driver;
  readonly traits: DriverTraits;
  readonly volume: DriverVolume;
}

export async function storageOf(
  state: VolumeState,
  record: ManagedVolumeRecord,
  folder: string = state.folders.path(record.name),
): Promise<Storage> {
  const driver = await state.drivers.get(kindOf(record));
  const { name, options } = record;
  return {
    record,
    driver,
    traits: driver.traits(options),
    volume: { name, options, folder, mountpoint: `${folder}/_data` },
  };
}

/** Removes what the driver has made in the folder, or elsewhere. May be repeated. */
export async function unmakeStorage({ driver, volume }: Storage, signal?: AbortSignal): Promise<void> {
  await driver.remove(volume, { signal });
  setImmutable(volume.mountpoint, false);
}

/** Volumes that are only a directory: no driver has to be loaded for them. */
export function isPlain({ driver, options }: Pick<ManagedVolumeRecord, 'driver' | 'options'>): boolean {
  return driver === 'local' && options['type'] === undefined && options['size'] === undefined;
}

export function kindOf(record: Pick<ManagedVolumeRecord, 'driver' | 'options'>): DriverKind {
  return storageKind(record);
}

export interface VolumeWork {
  readonly name: string;
  /** `remove`, for messages. */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
}

export function requireRecord(
  state: VolumeState,
  { name, action }: Pick<VolumeWork, 'name' | 'action'>,
): ManagedVolumeRecord {
  const record = state.catalog.findManagedVolume(name);
  if (record !== undefined) return record;
  throw new AppError('not-found', `Cannot ${action} volume ${quote(name)}: no such volume`, {
    hint: 'List what there is with "holdfast volume ls".',
  });
}
