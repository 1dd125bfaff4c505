/** The events that a channel can subscribe to. */
export const noticeEvents = ['failure', 'recovery', 'missed', 'anomaly', 'success'] as const;

export type NoticeEvent = (typeof noticeEvents)[number];

/** The kind of work that it concerns. */
export type NoticeWork = 'backup' | 'restore' | 'verify' | 'drill' | 'prune' | 'recovery' | 'schedule';

/** An event that people may have to know of. The notifier decides whether to send it. */
export interface Happening {
  /** `good` becomes a recovery when the same work on the same subject failed before. */
  readonly what: 'good' | 'partial' | 'failed' | 'missed' | 'anomaly';
  /** Sent only as a recovery, after a failure: by itself it is no success to report. */
  readonly onlyRecovery?: boolean | undefined;
  readonly work: NoticeWork;
  /**
   * What it concerns: a volume's name, an absolute path or a policy's name. Stable from one run to the next.
   */
  readonly subject: string;
  /** Tells failures apart: an error's code. No text with numbers in it, which would be new each time. */
  readonly fingerprint?: string | undefined;
  /** One sentence. Never holds a secret. */
  readonly message: string;
  /** Output of the engine or a program; may have several lines. Secrets are removed from it. */
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly stack?: string | undefined;
  readonly policy?: string | undefined;
  readonly snapshot?: string | undefined;
  readonly durationMs?: number | undefined;
}

/** Backups that were requested together. */
export interface BackupRun {
  /** Names of volumes and absolute paths. */
  readonly subjects: readonly string[];
  /** The policy that requested them. */
  readonly policy: string | undefined;
}

/** What became of one message on one channel. */
export interface SendResult {
  readonly channel: string;
  readonly type: string;
  readonly isSent: boolean;
  readonly attempts: number;
  /** Why it was not sent, without secrets. */
  readonly message: string | undefined;
}

/**
 * Sends happenings over the configured channels. Never throws and never holds the work up: happenings are
 * gathered for a few seconds and sent in the background. Closing it sends the rest, within a deadline.
 */
export interface Notifier extends AsyncDisposable {
  /**
   * Backups have begun, for channels that watch over them from outside. Dispose it when they have ended, all
   * of them or not: subjects without a result by then count as stopped.
   */
  begin(run: BackupRun): Disposable;
  /** A repeated failure is not sent each time. */
  tell(happenings: readonly Happening[]): void;
  /** Sends a test at once, to one channel or to all. `not-found` when no channel has that name. */
  test(
    name: string | undefined,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<SendResult[]>;
}
