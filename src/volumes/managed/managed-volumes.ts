import type { AppError } from '../../model/errors.ts';
import type { Volume, VolumeSpec } from '../../model/volume.ts';
import type { CallOptions } from '../../hosts/containers.ts';

/** A volume that Holdfast itself keeps, on one of its drivers. */
export interface ManagedVolume extends Volume {
  /** Where the data is seen, whether it is mounted now or not. */
  readonly mountpoint: string;
  /** The kind of storage: `driver` and `options` together say it (`local` with `type=tmpfs` is `tmpfs`). */
  readonly kind: string;
  readonly isProtected: boolean;
  /**
   * The ids that hold it mounted; without those of processes that have ended, and of before the last boot.
   */
  readonly mountIds: readonly string[];
  /** The data can be used: it is mounted, or needs no mount. */
  readonly isMounted: boolean;
}

export interface VolumeHealth {
  /** `unknown` until it has been looked at. */
  readonly status: 'good' | 'degraded' | 'unreachable' | 'failed' | 'unknown';
  readonly message: string | undefined;
  /** RFC 3339. */
  readonly checkedAt: string | undefined;
}

/** A file system's own numbers, without a walk. */
export interface RoomUsage {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
}

export interface VolumeEvent {
  readonly kind:
    | 'create'
    | 'destroy'
    | 'mount'
    | 'unmount'
    | 'rename'
    | 'label'
    | 'resize'
    | 'protect'
    | 'restore';
  readonly volume: ManagedVolume;
  /** For a mount and an unmount. */
  readonly id?: string | undefined;
  /** For a rename. */
  readonly from?: string | undefined;
  /** RFC 3339. */
  readonly at: string;
}

export interface TrashedVolume {
  /** Its unique id in the trash. */
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly removedAt: string;
  /** When it is deleted permanently. */
  readonly expiresAt: string;
  /** The data lies elsewhere (a host path, a server): only the volume's record is in the trash. */
  readonly isRecordOnly: boolean;
}

export interface EmptiedTrash {
  readonly deleted: readonly TrashedVolume[];
  /** What is still in the trash, and why. */
  readonly failures: readonly { readonly name: string; readonly error: AppError }[];
}

/**
 * The volumes that Holdfast keeps itself, on its drivers.
 *
 * - Any number of processes may work on the same state at once. Each volume has its own lock: work that waits
 *   for one volume's storage does not delay other volumes.
 * - `find` and `list` read the catalog and never touch storage, so they answer at once even if a server hangs.
 * - A missing name is `not-found`, unless a call says otherwise.
 * - A wait for storage ends with `unavailable`, and for another process with `locked`, within 100 seconds.
 */
export interface ManagedVolumes extends AsyncDisposable, VolumeMigration {
  /**
   * Returns an existing volume unchanged when driver, options and labels agree; else `conflict` says how it
   * differs. Without a name it makes an anonymous volume. Wrong options are `usage`.
   */
  create(spec: VolumeSpec, options?: CallOptions): Promise<ManagedVolume>;
  find(name: string): Promise<ManagedVolume | undefined>;
  /** Sorted by name. */
  list(): Promise<ManagedVolume[]>;

  /**
   * Moves to the trash, or deletes when `permanent`. `in-use` while an id holds it mounted, `locked` when it
   * is protected. What no trash can hold (a tmpfs, data that lies elsewhere) leaves its record there.
   * `conflict` while files written to it have not reached its storage, unless `losesUnsaved`.
   */
  remove(
    name: string,
    options?: CallOptions & {
      readonly permanent?: boolean | undefined;
      readonly losesUnsaved?: boolean | undefined;
      /** By work that has made it, or holds it: nothing more is taken for this. Otherwise `locked` while a work holds it. */
      readonly isHeld?: boolean | undefined;
    },
  ): Promise<void>;

  /** Mounts it if necessary, records the id, and returns the path. The same id may come again. */
  mount(name: string, id: string, options?: CallOptions): Promise<string>;
  /** Drops the id, and unmounts after the last one. Accepts a foreign id, and a volume that is gone. */
  unmount(name: string, id: string, options?: CallOptions): Promise<void>;

  /** `in-use` while it is mounted, `exists` when the new name is taken. */
  rename(name: string, to: string, options?: CallOptions): Promise<ManagedVolume>;
  /** An undefined value removes the label. */
  label(
    name: string,
    labels: Readonly<Record<string, string | undefined>>,
    options?: CallOptions,
  ): Promise<ManagedVolume>;
  /** A protected volume is neither removed nor pruned until it is unprotected. */
  protect(name: string, isProtected: boolean): Promise<ManagedVolume>;
  /**
   * Grows while in use. `usage` for a size too small for its data, `unsupported` for a driver without sizes.
   */
  resize(name: string, sizeBytes: number, options?: CallOptions): Promise<ManagedVolume>;
  /** Owner and group as numbers or names of this machine, mode in octal; for the root of the data. */
  own(name: string, owner: VolumeOwner, options?: CallOptions): Promise<ManagedVolume>;
  /** Makes new keys, wrapped by `key` (a reference) or the current one. `unsupported` without keys. */
  rotate(name: string, key: string | undefined, options?: CallOptions): Promise<ManagedVolume>;

  /** The file system's own numbers. Undefined for a volume that shares one, or is not mounted. */
  room(name: string, options?: CallOptions): Promise<RoomUsage | undefined>;
  /** Looks now; never throws for what it finds, and waits a few seconds at most for storage. */
  health(name: string): Promise<VolumeHealth>;
  /** The last result in this process. Never waits. */
  lastHealth(name: string): VolumeHealth;

  listTrash(): Promise<TrashedVolume[]>;
  /**
   * By its id, the id's start, or a name, which means the newest of that name. `exists` when the name is
   * taken: choose another by `to`.
   */
  restoreTrash(
    which: string,
    options?: CallOptions & { readonly to?: string | undefined },
  ): Promise<ManagedVolume>;
  /** Permanent: what has expired, everything, or the named ones. Tries each, also after a failure. */
  emptyTrash(which: 'expired' | 'all' | readonly string[], options?: CallOptions): Promise<EmptiedTrash>;

  /**
   * Compares the ids with mounts and live processes, and repairs: drops ids of ended processes and of before
   * the last boot, unmounts what no id holds, and mounts what is missing. Runs in the background on opening;
   * `isAlive` says for other ids whether their owner (a container) still exists.
   */
  reconcile(
    options?: CallOptions & { readonly isAlive?: ((id: string) => boolean) | undefined },
  ): Promise<ReconcileReport>;

  /** Reports what this process does from now on; the returned function ends that. */
  subscribe(listener: (event: VolumeEvent) => void): () => void;
}

export interface VolumeOwner {
  readonly owner?: string | undefined;
  readonly group?: string | undefined;
  readonly mode?: string | undefined;
}

export interface ReconcileReport {
  readonly dropped: readonly { readonly name: string; readonly id: string }[];
  readonly unmounted: readonly string[];
  readonly remounted: readonly string[];
  /** Sentences about what could not be repaired. */
  readonly problems: readonly string[];
}

/** The storage that a volume is to move to. */
export interface NewStorage {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface MigrationTarget extends NewStorage {
  readonly kind: string;
  /** The size limit set by its options; undefined where only the disk limits it. */
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
  /** Flushes what is in `to` by now to its disks. Slow, so it runs before the last changes are copied. */
  readonly writeDown: () => Promise<void>;
}

/** The steps of a migration; each throws to give it up. */
export interface MigrationSteps {
  /** Fills `to`, which is empty, while the volume is in use. */
  seed(places: SeedPlaces): Promise<void>;
  /** Stops the volume's users until the result is disposed, after the volume can be mounted again. */
  makeStill(): Promise<AsyncDisposable>;
  /** Makes `to` equal to `from`, and proves it. The volume cannot be mounted meanwhile. */
  finish(places: MigrationPlaces): Promise<void>;
}

/**
 * Moves volumes to other storage. The name stays, with labels, protection and identity; the old storage stays
 * whole in the trash.
 *
 * One exchange of two folders decides: before it, a failure or kill leaves the volume as it was, and what was
 * made is removed; after it, the volume is on its new storage. The next start finishes either.
 */
export interface VolumeMigration {
  /** Changes nothing. Throws what prevents the move, in use or not: `usage`, `unsupported`, `not-found`. */
  checkMigration(name: string, request: NewStorage): Promise<MigrationTarget>;

  /** `in-use` when ids still hold it after its users are stopped. */
  migrate(
    name: string,
    request: NewStorage,
    options: CallOptions & { readonly steps: MigrationSteps },
  ): Promise<ManagedVolume>;

  /** The previous storage, in the trash. Undefined when it was not moved, or the trash was emptied since. */
  findMigrated(name: string): Promise<TrashedVolume | undefined>;

  /**
   * Moves back to that storage and its data of that time; the current data goes to the trash, and can be
   * brought back likewise.
   */
  migrateBack(
    name: string,
    options: CallOptions & { readonly steps: Pick<MigrationSteps, 'makeStill'> },
  ): Promise<ManagedVolume>;
}
