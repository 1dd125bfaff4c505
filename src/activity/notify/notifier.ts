/** What a channel can be told of. */
export const noticeEvents = ['failure', 'recovery', 'missed', 'anomaly', 'success'] as const;

export type NoticeEvent = (typeof noticeEvents)[number];

/** What kind of work it is about. */
export type NoticeWork = 'backup' | 'restore' | 'verify' | 'drill' | 'prune' | 'recovery' | 'schedule';

/** Something that happened and that somebody may have to know. Whether it is told is for the notifier to decide. */
export interface Happening {
  /** `good` becomes a recovery when the same thing went wrong before. */
  readonly what: 'good' | 'partial' | 'failed' | 'missed' | 'anomaly';
  /** Something good that is told only where it went wrong before: it is no success that anybody waits for. */
  readonly onlyRecovery?: boolean | undefined;
  readonly work: NoticeWork;
  /** The volume's name, an absolute path, a policy's name: what it is about, always the same. */
  readonly subject: string;
  /** Tells one failure from another: an error's code. Not a text with numbers in it, which would be new each time. */
  readonly fingerprint?: string | undefined;
  /** In a sentence. Never holds a secret. */
  readonly message: string;
  /** What the engine or a program has said of it; may have several lines. Secrets are taken out of it. */
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly stack?: string | undefined;
  readonly policy?: string | undefined;
  readonly snapshot?: string | undefined;
  readonly durationMs?: number | undefined;
}

/** Backups that are asked for at once. */
export interface BackupRun {
  /** Names of volumes and absolute paths. */
  readonly subjects: readonly string[];
  /** The policy that asked for them. */
  readonly policy: string | undefined;
}

/** What became of a notification on one channel. */
export interface SendResult {
  readonly channel: string;
  readonly type: string;
  readonly isSent: boolean;
  readonly attempts: number;
  /** Why it was not, without secrets. */
  readonly message: string | undefined;
}

/**
 * Tells people what happened, over the channels that are configured. Never throws and never holds the work up: what is
 * told is gathered for a moment and sent meanwhile. Closing it sends what is left, within a deadline.
 */
export interface Notifier extends AsyncDisposable {
  /**
   * Backups have begun, for channels that watch over them from outside. To be disposed of when they have come to their end,
   * all of them or not: what nothing was told of by then was stopped.
   */
  begin(run: BackupRun): Disposable;
  /** The same failure again is not told each time. */
  tell(happenings: readonly Happening[]): void;
  /** Sends a test at once, to one channel or to all. `not-found` when there is none of that name. */
  test(
    name: string | undefined,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<SendResult[]>;
}
