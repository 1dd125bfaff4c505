import type { SaveScheduler } from './save-scheduler.ts';
import type { SaveTask, SaveTaskResult, SegmentBoundary } from './save-task.ts';

export interface StartedPiece {
  /** Where its last chunk ends, which is known before the chunks are stored. */
  readonly boundary: Promise<SegmentBoundary>;
  readonly piece: Promise<SaveTaskResult>;
}

/** Has a worker read a piece of a file and store it. */
export function startPiece(
  scheduler: SaveScheduler,
  segment: Extract<SaveTask, { kind: 'segment' }>,
): StartedPiece {
  const { promise: boundary, resolve, reject } = Promise.withResolvers<SegmentBoundary>();
  const piece = scheduler.run(segment, { onInterim: resolve });
  piece.catch(reject);
  boundary.catch(() => undefined);
  return { boundary, piece };
}
