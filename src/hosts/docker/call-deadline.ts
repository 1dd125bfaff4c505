import { watchSilence } from '../../lib/silence.ts';
import { AppError } from '../../model/errors.ts';

const defaultDeadlineMs = 60_000;

/** A call with a time limit. */
export interface TimedCall {
  /** The action, for the message when it fails: `Cannot list volumes`. */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
  /** The time limit of the response; the engine gives plugins two minutes for some calls. */
  readonly deadlineMs?: number | undefined;
}

export interface CallDeadline extends Disposable {
  readonly signal: AbortSignal;
  stopClock(): void;
}

/** Combines the caller's signal with our own time limit. */
export function startDeadline(call: TimedCall): CallDeadline {
  const controller = new AbortController();
  const milliseconds = call.deadlineMs ?? defaultDeadlineMs;
  const clock = watchSilence(milliseconds, () => {
    controller.abort(
      new AppError('unavailable', `${call.action}: no answer within ${formatSeconds(milliseconds)}`, {
        hint: 'The engine or one of its plugins hangs: look at its log.',
      }),
    );
  });
  const onAbort = (): void => controller.abort(call.signal?.reason);
  if (call.signal?.aborted === true) onAbort();
  else call.signal?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    stopClock: () => clock.stop(),
    [Symbol.dispose]() {
      clock.stop();
      call.signal?.removeEventListener('abort', onAbort);
    },
  };
}

export function formatSeconds(milliseconds: number): string {
  return `${Number((milliseconds / 1000).toFixed(1))} s`;
}
