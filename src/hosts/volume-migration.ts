import type { ManagedVolume, RoomUsage, TrashedVolume } from './managed-volumes.ts';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** The storage that a volume is to move to. */
export interface MigrationWish {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface MigrationTarget extends MigrationWish {
  readonly kind: string;
  /** What there is at most, by its options; undefined where nothing but the disk sets a limit. */
  readonly sizeBytes: number | undefined;
  /** The disk that the data will lie on, where it is known before the storage is made. */
  readonly disk: RoomUsage | undefined;
}

export interface MigrationPlaces {
  /** Absolute paths of this machine. */
  readonly from: string;
  readonly to: string;
}

export interface SeedPlaces extends MigrationPlaces {
  /** Has what is in `to` by now on the disks below it. It may take long, so it is done before the last changes are copied. */
  readonly writeDown: () => Promise<void>;
}

/** What is done on the way; each throws to give it up. */
export interface MigrationSteps {
  /** Fills `to`, which is empty, while the volume is in use. */
  seed(places: SeedPlaces): Promise<void>;
  /** Nobody uses the volume from then on until the answer is disposed of, after the volume can be mounted again. */
  makeStill(): Promise<AsyncDisposable>;
  /** Makes `to` the same as `from`, and proves it. Nobody can mount the volume meanwhile. */
  finish(places: MigrationPlaces): Promise<void>;
}

/**
 * Moves volumes to other storage. The name stays, with labels, protection and identity; the storage that a volume had
 * stays whole in the trash.
 *
 * One exchange of two folders decides: whatever ends the work before it leaves the volume as it was, and what was made
 * is removed; after it the volume is on its new storage. Both are brought to their end by the next start.
 */
export interface VolumeMigration {
  /** Touches nothing. Throws what keeps it from moving there whoever uses it: `usage`, `unsupported`, `not-found`. */
  checkMigration(name: string, wish: MigrationWish): Promise<MigrationTarget>;

  /** `in-use` when ids that hold it do not go away once it is still. */
  migrate(
    name: string,
    wish: MigrationWish,
    options: CallOptions & { readonly steps: MigrationSteps },
  ): Promise<ManagedVolume>;

  /** The storage that the volume had before, in the trash. Undefined when it was not moved, or the trash was emptied since. */
  findMigrated(name: string): Promise<TrashedVolume | undefined>;

  /** Back to that storage and the data that it had then; what is there now is in the trash, and comes back in the same way. */
  migrateBack(
    name: string,
    options: CallOptions & { readonly steps: Pick<MigrationSteps, 'makeStill'> },
  ): Promise<ManagedVolume>;
}
