import type { WorkOptions } from './work-options.ts';

/** Who holds a lock, as the lock says. */
export interface LockHolder {
  /** 64 hex digits. */
  readonly id: string;
  /** RFC 3339; it is renewed every few minutes. */
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** False for a lock that is damaged: nothing else is known of it. */
  readonly isReadable: boolean;
  /** Why nobody can hold it any more; undefined when somebody may. */
  readonly stale: string | undefined;
}

export interface UnlockOptions extends WorkOptions {
  /** Removes locks too that somebody may hold: what they do then may come to nothing, or destroy what others do. */
  readonly all: boolean;
  /** Says what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface UnlockReport {
  readonly removed: readonly LockHolder[];
  readonly kept: readonly LockHolder[];
}
