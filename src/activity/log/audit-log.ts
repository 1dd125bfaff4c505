import type { LogEntry, LogEvent, LogKind } from '../../model/log-entry.ts';

/** Which entries are read; what is not set keeps none out. */
export interface LogFilter {
  /** A volume's name or an absolute path. */
  readonly volume?: string | undefined;
  readonly kinds?: readonly LogKind[] | undefined;
  readonly sinceMs?: number | undefined;
  /** At most this many, the newest. */
  readonly limit?: number | undefined;
}

/** An entry, or a place between two, that is not as it was written. */
export interface LogProblem {
  /** The file in the log's folder. */
  readonly segment: string;
  readonly line: number;
  readonly message: string;
}

/** What a look at the whole log has proven. It is good when there are no problems. */
export interface LogVerification {
  readonly entries: number;
  readonly firstSequence: number | undefined;
  readonly lastSequence: number | undefined;
  /** The last entry's `mac`: kept elsewhere, it proves later that nothing before it was changed. */
  readonly head: string | undefined;
  /**
   * Gaps that the log itself reports, for a reason that is no attack: a full disk, a machine that stopped.
   */
  readonly gaps: readonly LogEntry[];
  /** Entries that were changed, removed, forged or cut off. */
  readonly problems: readonly LogProblem[];
}

/**
 * The log of what was done. It is append-only: each entry is chained to the one before by a keyed hash, and
 * the catalog holds the end as well. A process that can write to it but cannot read its key cannot change it
 * unnoticed.
 * Safe with several processes at once.
 */
export interface AuditLog {
  /**
   * Durable when it returns true. Never throws: an entry that cannot be written is a warning, and a gap that
   * the log reports later.
   */
  record(events: readonly LogEvent[]): Promise<boolean>;
  /** Oldest first. Lines that cannot be read are left out: `verify` lists them. */
  list(filter: LogFilter): Promise<LogEntry[]>;
  verify(options?: { readonly signal?: AbortSignal | undefined }): Promise<LogVerification>;
}

/** A state folder, and the log in it. */
export interface LoggedState {
  readonly stateDir: string;
  readonly log: AuditLog;
}
