import type { StorageKind } from '../model/storage-kind.ts';

/** A volume as its driver sees it. All a driver knows; it keeps nothing in memory between calls. */
export interface DriverVolume {
  readonly name: string;
  /** As they were given, and changed since by what a call returned. */
  readonly options: Readonly<Record<string, string>>;
  /**
   * The volume's own folder on this machine. The driver may keep in it what it needs (an image, wrapped keys), under
   * names that do not begin with `_`. It follows the volume through renames and into the trash: nothing that is kept
   * elsewhere may depend on the folder's name or on the volume's.
   */
  readonly folder: string;
  /** Where the data is to be seen: the directory `_data` in the folder. It is there before every call. */
  readonly mountpoint: string;
}

export interface DriverCall {
  readonly signal?: AbortSignal | undefined;
}

export interface DriverHealth {
  /** `unreachable` may come back by itself (a server that is away); `failed` will not without somebody's help. */
  readonly status: 'good' | 'degraded' | 'unreachable' | 'failed';
  /** A sentence for people when the status is not good. */
  readonly message: string | undefined;
}

/** What the file system of a mounted volume says without being walked. */
export interface DriverUsage {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** What can be known of a volume from its options alone. */
export interface DriverTraits {
  /** The data is seen only while the volume is mounted. Otherwise `mount` and `unmount` are never called. */
  readonly isMounted: boolean;
  /** The driver keeps the data outside of the volume's folder: the trash cannot hold it, and `remove` leaves it alone. */
  readonly isElsewhere: boolean;
  /** The data ends with the last unmount. */
  readonly isFleeting: boolean;
  /** A mount can stop answering while it stays (its server or its program has ended): `health` sees it as `failed`. */
  readonly canGoStale?: boolean | undefined;
}

/**
 * One kind of storage. Implementations are siblings in this folder.
 *
 * - The caller holds the volume's lock during every call but `health`, `usage` and `traits`, and makes one call at a time.
 * - Every call may be repeated, after a success, a failure or a kill at any moment.
 * - Nothing waits without an end: a server that does not answer is `unavailable` after a time limit. A program that changes
 *   the storage and must not be killed in the middle is waited for, also when the call is cancelled (`runToEnd`).
 * - A call that fails or is cancelled leaves what was there before: nothing half mounted, nothing formatted.
 * - Messages begin with what could not be done and name the volume; they never hold a secret.
 * - Data that is there is never overwritten: a device that holds something is `conflict`.
 */
export interface Driver {
  readonly kind: DriverKind;

  /**
   * Gives back the options as they are kept: a relative path made absolute, a short form written out. Touches nothing.
   * Throws `usage` for options that this driver does not take, or values that are wrong, and says which.
   */
  check(options: Readonly<Record<string, string>>): Readonly<Record<string, string>>;

  /** Pure. For options that have passed `check`. */
  traits(options: Readonly<Record<string, string>>): DriverTraits;

  /** Makes the storage, durably. What it made is undone by `remove`, also when it was killed half way. */
  create(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /** Permanent. Called when the volume is not mounted. The folder itself and what is in it are the caller's to delete. */
  remove(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /** Makes the data seen at the mountpoint. The caller has seen that nothing is mounted there. */
  mount(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /** Nothing is mounted at the mountpoint afterwards, and what stood behind it (a loop device, a key) is let go. `in-use` when somebody uses it. */
  unmount(volume: DriverVolume, call?: DriverCall): Promise<void>;

  /** Never throws, never waits longer than a few seconds, and changes nothing. */
  health(volume: DriverVolume, state: { readonly isMounted: boolean }): Promise<DriverHealth>;

  /** Undefined where it cannot be said without walking. For a volume whose data is seen. */
  usage?(volume: DriverVolume, call?: DriverCall): Promise<DriverUsage | undefined>;

  /**
   * How many files of a volume that is not mounted lie in its folder, and have not reached its storage. Absent where what
   * is written is there at once.
   */
  unsaved?(volume: DriverVolume): Promise<number>;

  /** A read-only image of this instant at `path`, which is not there yet and on the same storage; `thaw` removes it. */
  freeze?(volume: DriverVolume, path: string, call?: DriverCall): Promise<void>;
  thaw?(volume: DriverVolume, path: string, call?: DriverCall): Promise<void>;

  /** Makes `to`, whose folder is new, a copy of this instant, in no time. False when these two cannot share data; nothing has happened then. */
  clone?(from: DriverVolume, to: DriverVolume, call?: DriverCall): Promise<boolean>;

  /** Gives back the options as they are from now on. Grows while mounted. `usage` for a size that is too small for the data. */
  resize?(
    volume: DriverVolume,
    request: { readonly sizeBytes: number; readonly isMounted: boolean },
    call?: DriverCall,
  ): Promise<Readonly<Record<string, string>>>;

  /** New keys in place of the old ones, which open nothing from then on; the data is not written anew. Gives back the options. */
  rotate?(
    volume: DriverVolume,
    request: { readonly key: string | undefined },
    call?: DriverCall,
  ): Promise<Readonly<Record<string, string>>>;

  /** Destroys all keys, so that nothing opens the data any more, whatever copies of it there are. Permanent. */
  erase?(volume: DriverVolume, call?: DriverCall): Promise<void>;
}

export type DriverKind = StorageKind;

/** All drivers by their kind. */
export interface Drivers {
  get(kind: DriverKind): Promise<Driver>;
}
