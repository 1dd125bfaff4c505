export interface SilenceWatch {
  /** The time begins anew: something was heard. */
  start(): void;
  stop(): void;
}

/** A stop costs no more than one of them. */
const parts = 10;

/**
 * Calls `onSilent` once nothing was heard for that time, in milliseconds, during which this process could hear. After a
 * stop of it, or of its whole machine, what has arrived meanwhile is not read yet, and what was stopped as well has
 * something left to say: the time of a stop hardly counts. Begins at once.
 */
export function watchSilence(milliseconds: number, onSilent: () => void): SilenceWatch {
  let timer: NodeJS.Timeout | undefined;
  let last: NodeJS.Immediate | undefined;
  const stop = (): void => {
    clearInterval(timer);
    clearImmediate(last);
  };
  const start = (): void => {
    stop();
    let left = parts;
    timer = setInterval(() => {
      left -= 1;
      if (left > 0) return;
      stop();
      // A timer may come before what is to be read.
      last = setImmediate(onSilent);
    }, milliseconds / parts);
  };
  start();
  return { start, stop };
}
