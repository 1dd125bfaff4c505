import { knownError } from '../../lib/known-error.ts';
import { type AppError, errnoOf } from '../../model/errors.ts';

/** The result of writes to a stream. */
export interface WatchedOutput {
  /**
   * Why the output is incomplete, after all writes were tried. A reader that closed the stream is no error:
   * it had enough.
   */
  problem(): Promise<AppError | undefined>;
}

/** From then on, an error of the stream is recorded only: a running restore completes. */
export function watchOutput(stream: NodeJS.WriteStream): WatchedOutput {
  let first: Error | undefined;
  stream.on('error', (error) => void (first ??= error));
  return {
    async problem() {
      await new Promise<void>((resolve) => void stream.write('', () => resolve()));
      return first === undefined || errnoOf(first) === 'EPIPE' ? undefined : cannotWrite(first);
    },
  };
}

export function cannotWrite(error: unknown): AppError {
  return knownError(error, 'Cannot write the output');
}
