/** The kinds of log entries. `gap` is the log's own note that entries are missing. */
export const logKinds = [
  'backup',
  'restore',
  'undo',
  'forget',
  'prune',
  'volume-remove',
  'volume-prune',
  'volume-migrate',
  'key-add',
  'key-change',
  'key-remove',
  'repository-add',
  'repository-remove',
  'repository-default',
  'tag',
  'copy',
  'repair',
  'unlock',
  'import',
  'verify',
  'drill',
  'notify',
  'gap',
] as const;

export type LogKind = (typeof logKinds)[number];

/** An event for the log. Never holds a secret. */
export interface LogEvent {
  readonly kind: LogKind;
  readonly outcome: 'good' | 'partial' | 'failed' | 'cancelled';
  /** The volume's name, or an absolute path. */
  readonly volume?: string | undefined;
  readonly snapshot?: string | undefined;
  readonly repository?: string | undefined;
  /** The event, in words. */
  readonly message?: string | undefined;
}

/** One line of the log file. */
export interface LogEntry extends LogEvent {
  /** 1, 2, 3 …; a `gap` reports missing numbers. */
  readonly sequence: number;
  /** RFC 3339. */
  readonly time: string;
  /** The user who did it. */
  readonly by: string;
  /** The `mac` of the previous entry. */
  readonly previous: string;
  /** HMAC-SHA-256 over everything before it on the line, in hex. */
  readonly mac: string;
}
