/** What a sender works with. */
export interface SendContext {
  readonly signal: AbortSignal;
  /** What a reference leads to; anything else is the value itself. What it leads to is never shown. */
  readonly reveal: (textOrReference: string) => Promise<string>;
}

/** An attempt that failed. */
export class SendFailure extends Error {
  /** False when another attempt would end the same. */
  readonly canRetry: boolean;
  /** What the other side asked for. */
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
