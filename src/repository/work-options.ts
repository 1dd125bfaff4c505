export interface WorkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called at most ten times a second. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** How far a job is. Totals are undefined while they are not known yet. */
export interface Progress {
  readonly phase: string;
  readonly filesDone: number;
  readonly filesTotal: number | undefined;
  readonly bytesDone: number;
  readonly bytesTotal: number | undefined;
  /** What is at work now, for people. */
  readonly current: string | undefined;
}
