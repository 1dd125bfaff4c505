import { knownError } from '../../lib/known-error.ts';
import { type AppError, errnoOf } from '../../model/errors.ts';

/** What became of what was written to a stream. */
export interface WatchedOutput {
  /** Why not all of it came to where it went, once all of it was tried. A reader that has gone is no reason: it had enough. */
  problem(): Promise<AppError | undefined>;
}

/** From now on, an error of the stream ends nothing: what is at work goes on, and a running restore comes to its end. */
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
