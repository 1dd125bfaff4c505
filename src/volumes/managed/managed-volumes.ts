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
  /** The ids that hold it mounted; without those of processes that have ended, and of before the last boot. */
  readonly mountIds: readonly string[];
  /** The data is there to be used: something is mounted, or nothing needs to be. */
  readonly isMounted: boolean;
}

export interface VolumeHealth {
  /** `unknown` until it has been looked at. */
  readonly status: 'good' | 'degraded' | 'unreachable' | 'failed' | 'unknown';
  readonly message: string | undefined;
  /** RFC 3339. */
  readonly checkedAt: string | undefined;
}

/** What a file system says of its room, without a walk. */
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
  /** Of a mount and an unmount. */
  readonly id?: string | undefined;
  /** Of a rename. */
  readonly from?: string | undefined;
  /** RFC 3339. */
  readonly at: string;
}

export interface TrashedVolume {
  /** Its id in the trash, unique. */
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly removedAt: string;
  /** Deleted for good from then on. */
  readonly expiresAt: string;
  /** The data lies elsewhere (a host path, a server): only the volume's record is in the trash. */
  readonly isRecordOnly: boolean;
}

export interface EmptiedTrash {
  readonly deleted: readonly TrashedVolume[];
  /** What is in the trash still, and why. */
  readonly failures: readonly { readonly name: string; readonly error: AppError }[];
}

/**
 * The volumes that Holdfast keeps itself, on its drivers.
 *
 * - Any number of processes may work on the same state at once. Each volume has a lock of its own: work that waits for
 *   one volume's storage does not keep other volumes waiting.
 * - `find` and `list` read what is remembered and never touch storage: they answer at once though a server hangs.
 * - A name that does not exist is `not-found`, unless a call says otherwise.
 * - Waiting for storage ends by itself with `unavailable`, and for another's work with `locked`, within 100 seconds.
 */
export interface ManagedVolumes extends AsyncDisposable, VolumeMigration {
  /**
   * A name that exists is given back as it is when driver, options and labels agree, else `conflict` says how it
   * differs. Undefined as the name makes an anonymous volume. Wrong options are `usage`.
   */
  create(spec: VolumeSpec, options?: CallOptions): Promise<ManagedVolume>;
  find(name: string): Promise<ManagedVolume | undefined>;
  /** Sorted by name. */
  list(): Promise<ManagedVolume[]>;

  /**
   * To the trash, or for good when `permanent`. `in-use` while an id holds it mounted, `locked` when it is protected.
   * What no trash can hold (a tmpfs, data that lies elsewhere) leaves its record there. `conflict` while files that were
   * written to it have not reached its storage, unless `losesUnsaved`.
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

  /** Mounts it unless it is, notes the id, and gives back the path. The same id may come again. */
  mount(name: string, id: string, options?: CallOptions): Promise<string>;
  /** Takes the id away, and unmounts after the last one. Fine for an id that does not hold it, and for a volume that is gone. */
  unmount(name: string, id: string, options?: CallOptions): Promise<void>;

  /** `in-use` while it is mounted, `exists` when the new name is taken. */
  rename(name: string, to: string, options?: CallOptions): Promise<ManagedVolume>;
  /** Undefined as a value takes the label away. */
  label(
    name: string,
    labels: Readonly<Record<string, string | undefined>>,
    options?: CallOptions,
  ): Promise<ManagedVolume>;
  /** A protected volume is neither removed nor pruned until it is unprotected. */
  protect(name: string, isProtected: boolean): Promise<ManagedVolume>;
  /** Grows while it is in use. `usage` for a size that its data does not fit into, `unsupported` for a driver without sizes. */
  resize(name: string, sizeBytes: number, options?: CallOptions): Promise<ManagedVolume>;
  /** Owner and group as numbers or names of this machine, mode in octal. Of the root of the data. */
  own(name: string, owner: VolumeOwner, options?: CallOptions): Promise<ManagedVolume>;
  /** New keys, wrapped by `key` (a reference) from then on, or by what wraps them now. `unsupported` for a driver without keys. */
  rotate(name: string, key: string | undefined, options?: CallOptions): Promise<ManagedVolume>;

  /** What its file system says of its room. Undefined for a volume that shares one, or is not mounted. */
  room(name: string, options?: CallOptions): Promise<RoomUsage | undefined>;
  /** Looks now; never throws for what it finds, and never waits longer than a few seconds for storage. */
  health(name: string): Promise<VolumeHealth>;
  /** What was found when it was last looked at in this process. Never waits. */
  lastHealth(name: string): VolumeHealth;

  listTrash(): Promise<TrashedVolume[]>;
  /** By its id, its start, or the name of the newest of that name. `exists` when the name is taken: choose another by `to`. */
  restoreTrash(
    which: string,
    options?: CallOptions & { readonly to?: string | undefined },
  ): Promise<ManagedVolume>;
  /** For good: what has expired, or all of it, or what is named. Each is tried, also after one that fails. */
  emptyTrash(which: 'expired' | 'all' | readonly string[], options?: CallOptions): Promise<EmptiedTrash>;

  /**
   * Compares the ids with what is mounted and who lives, and mends: ids of processes that have ended and of before the
   * last boot go, mounts that no id holds are unmounted, mounts that are missing are made again. Done when it is opened,
   * in the background; `isAlive` says of other ids whether their owner (a container) still is.
   */
  reconcile(
    options?: CallOptions & { readonly isAlive?: ((id: string) => boolean) | undefined },
  ): Promise<ReconcileReport>;

  /** What happens from now on by this process; returns what ends it. */
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
  /** Sentences about what could not be mended. */
  readonly problems: readonly string[];
}

/** The storage that a volume is to move to. */
export interface NewStorage {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface MigrationTarget extends NewStorage {
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
  /** The volume is not in use from then on until the answer is disposed of, after the volume can be mounted again. */
  makeStill(): Promise<AsyncDisposable>;
  /** Makes `to` the same as `from`, and proves it. The volume cannot be mounted meanwhile. */
  finish(places: MigrationPlaces): Promise<void>;
}

/**
 * Moves volumes to other storage. The name stays, with labels, protection and identity; the storage that a volume had
 * stays whole in the trash.
 *
 * One exchange of two folders decides: an end of the work before it leaves the volume as it was, and what was made
 * is removed; after it the volume is on its new storage. Both are brought to their end by the next start.
 */
export interface VolumeMigration {
  /** Touches nothing. Throws what keeps it from moving there, in use or not: `usage`, `unsupported`, `not-found`. */
  checkMigration(name: string, request: NewStorage): Promise<MigrationTarget>;

  /** `in-use` when ids that hold it do not go away once it is still. */
  migrate(
    name: string,
    request: NewStorage,
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
