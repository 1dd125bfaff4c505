import type { StorageKind } from '../model/storage-kind.ts';

/**
 * A volume as its driver sees it: everything that a driver knows, since it keeps nothing in memory between
 * calls.
 */
export interface DriverVolume {
  readonly name: string;
  /** As given by the user, with changes returned by later calls. */
  readonly options: Readonly<Record<string, string>>;
  /**
   * The volume's own folder on this machine. The driver may keep what it needs in it (an image, wrapped
   * keys), under names that do not begin with `_`. It follows the volume through renames and into the trash:
   * nothing kept elsewhere may depend on the folder's name or on the volume's.
   */
  readonly folder: string;
  /** Where the data appears: the directory `_data` in the folder. It exists before every call. */
  readonly mountpoint: string;
}

export interface DriverCall {
  readonly signal?: AbortSignal | undefined;
}

export interface DriverHealth {
  /** `unreachable` may recover by itself (a server that is away); `failed` needs intervention. */
  readonly status: 'good' | 'degraded' | 'unreachable' | 'failed';
  /** A sentence for the user when the status is not good. */
  readonly message: string | undefined;
}

/** What the file system of a mounted volume reports without a walk. */
export interface DriverUsage {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** What a volume's options alone determine. */
export interface DriverTraits {
  /**
   * The data is visible only while the volume is mounted. Otherwise `mount` and `unmount` are never called.
   */
  readonly isMounted: boolean;
  /** The data is outside of the volume's folder: the trash cannot hold it, and `remove` leaves it alone. */
  readonly isElsewhere: boolean;
  /** The data disappears with the last unmount. */
  readonly isFleeting: boolean;
  /**
   * A mount can stop responding while it stays (its server or its program has ended): `health` reports
   * `failed`.
   */
  readonly canGoStale?: boolean | undefined;
}

/**
 * One kind of storage. Implementations are siblings in this folder.
 *
 * - The caller holds the volume's lock during every call but `health`, `usage` and `traits`, and makes one
 *   call at a time.
 * - Every call may be repeated, after a success, a failure or a kill at any moment.
 * - Every wait has a limit: a server that does not respond is `unavailable` after a timeout. A program that
 *   changes the storage and must not be interrupted runs to its end, even when the call is cancelled
 *   (`runToEnd`).
 * - A failed or cancelled call leaves the previous state: nothing half mounted, nothing formatted.
 * - Messages begin with what could not be done and name the volume; they never hold a secret.
 * - Existing data is never overwritten: a device with content is `conflict`.
 */
export interface Driver {
  readonly kind: DriverKind;

  /**
   * Returns the options in canonical form: relative paths made absolute, short forms expanded. Changes
   * nothing. Throws `usage` for unknown options or wrong values, and names them.
   */
  check(options: Readonly<Record<string, string>>): Readonly<Record<string, string>>;

  /** Pure. For options that have passed `check`. */
  traits(options: Readonly<Record<string, string>>): DriverTraits;

  /** Creates the storage, durably. `remove` undoes it, also after a kill half way. */
  create(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /** Permanent. Called when the volume is not mounted. The caller deletes the folder and its content. */
  remove(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /** Makes the data visible at the mountpoint. The caller has checked that nothing is mounted there. */
  mount(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /**
   * Afterwards nothing is mounted at the mountpoint, and what was behind it (a loop device, a key) is
   * released. `in-use` when a process uses it.
   */
  unmount(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /** Never throws, never takes longer than a few seconds, and changes nothing. */
  health(volume: DriverVolume, state: { readonly isMounted: boolean }): Promise<DriverHealth>;

  /** Undefined where it cannot be determined without a walk. For a volume whose data is visible. */
  usage?(volume: DriverVolume, call?: DriverCall): Promise<DriverUsage | undefined>;

  /**
   * How many files of an unmounted volume are in its folder and have not reached its storage. Absent where
   * writes reach the storage at once.
   */
  unsaved?(volume: DriverVolume): Promise<number>;

  /**
   * Creates a read-only image of this instant at `path`, which must not exist and must be on the same
   * storage; `thaw` removes it.
   */
  freeze?(volume: DriverVolume, path: string, call?: DriverCall): Promise<void>;
  thaw?(volume: DriverVolume, path: string, call?: DriverCall): Promise<void>;

  /**
   * Makes `to`, whose folder is new, an instant copy. False, with no effect, when the two cannot share data.
   */
  clone?(from: DriverVolume, to: DriverVolume, call?: DriverCall): Promise<boolean>;

  /** Returns the new options. Grows while mounted. `usage` for a size that is too small for the data. */
  resize?(
    volume: DriverVolume,
    request: { readonly sizeBytes: number; readonly isMounted: boolean },
    call?: DriverCall,
  ): Promise<Readonly<Record<string, string>>>;

  /** Replaces the keys, so that the old ones open nothing; the data is not rewritten. Returns the options. */
  rotate?(
    volume: DriverVolume,
    request: { readonly key: string | undefined },
    call?: DriverCall,
  ): Promise<Readonly<Record<string, string>>>;

  /** Destroys all keys, so that nothing opens the data or any copy of it. Permanent. */
  erase?(volume: DriverVolume, call?: DriverCall): Promise<void>;
}

export type DriverKind = StorageKind;

/** All drivers by their kind. */
export interface Drivers {
  get(kind: DriverKind): Promise<Driver>;
}
