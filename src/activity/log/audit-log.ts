import type { LogEntry, LogEvent, LogKind } from '../../model/log-entry.ts';

export interface LogFilter {
  /** A volume's name or an absolute path. */
  readonly volume?: string | undefined;
  readonly kinds?: readonly LogKind[] | undefined;
  readonly sinceMs?: number | undefined;
  /** Only the newest so many. */
  readonly limit?: number | undefined;
}

export interface LogProblem {
  /** The file in the log's folder. */
  readonly segment: string;
  readonly line: number;
  readonly message: string;
}

export interface LogVerification {
  readonly entries: number;
  readonly firstSequence: number | undefined;
  readonly lastSequence: number | undefined;
  /** The last entry's `mac`: kept elsewhere, it proves later that nothing before it was changed. */
  readonly head: string | undefined;
  /** What the log says itself of what is missing, for a reason that is no attack: a full disk, a machine that stopped. */
  readonly gaps: readonly LogEntry[];
  /** Entries that were changed, removed, forged or cut off. */
  readonly problems: readonly LogProblem[];
}

/**
 * The log of what was done: only ever appended to, each entry chained to the one before by a keyed hash, the end kept in
 * the catalog as well. Whoever can write to it but not read its key cannot change it unnoticed.
 *
 * Safe with several processes at once.
 */
export interface AuditLog {
  /** Durable when it returns true. Never throws: what cannot be written is a warning, and a gap that the log tells of later. */
  record(events: readonly LogEvent[]): Promise<boolean>;
  /** Oldest first. Lines that cannot be read are left out: `verify` names them. */
  list(filter: LogFilter): Promise<LogEntry[]>;
  verify(options?: { readonly signal?: AbortSignal | undefined }): Promise<LogVerification>;
}
