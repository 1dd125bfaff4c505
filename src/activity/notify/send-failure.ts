/** What a sender needs. */
export interface SendContext {
  readonly signal: AbortSignal;
  /** Resolves a reference; any other text is the value itself. The resolved value is never shown. */
  readonly reveal: (textOrReference: string) => Promise<string>;
}

/** An attempt that failed. */
export class SendFailure extends Error {
  /** False when another attempt would fail the same way. */
  readonly canRetry: boolean;
  /** The delay that the server asked for. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    options: { canRetry: boolean; retryAfterMs?: number | undefined; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.name = 'SendFailure';
    this.canRetry = options.canRetry;
    this.retryAfterMs = options.retryAfterMs;
  }
}
