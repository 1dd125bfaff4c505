import os from 'node:os';
import { AppError, exitNumber } from '../../model/errors.ts';

export interface SignalWatch extends Disposable {
  /** Aborted by the first signal, with a `cancelled` error as its reason. */
  readonly signal: AbortSignal;
  /** The exit number of a command that ended with `code`: that of the signal when a signal ended it. */
  exitNumber(code: number): number;
  /** Until disposal, SIGHUP calls this instead of asking the command to end. */
  onHangUp(listener: () => void): Disposable;
  /** Until disposal, every signal goes to the listener, and ends nothing here. */
  onSignals(listener: (name: NodeJS.Signals) => void): Disposable;
}

const watched = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** These end a process at once, unless it listens for them. */
const passedOn = ['SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** The first signal asks the command to end, the second ends it. */
export function watchSignals(process: NodeJS.Process): SignalWatch {
  const controller = new AbortController();
  let received: (typeof watched)[number] | undefined;
  let hangUp: (() => void) | undefined;
  let takeOver: ((name: NodeJS.Signals) => void) | undefined;
  const onSignal = (name: (typeof watched)[number]): void => {
    if (takeOver !== undefined) return takeOver(name);
    if (name === 'SIGHUP' && hangUp !== undefined) return hangUp();
    const number = 128 + os.constants.signals[name];
    if (received !== undefined) process.exit(number);
    received = name;
    process.stderr.write('\nStopping… (again to stop at once)\n');
    controller.abort(new AppError('cancelled', 'Cancelled'));
  };
  for (const name of watched) process.on(name, onSignal);
  return {
    signal: controller.signal,
    exitNumber: (code) =>
      received !== undefined && code === exitNumber('cancelled')
        ? 128 + os.constants.signals[received]
        : code,
    onHangUp(listener) {
      hangUp = listener;
      return { [Symbol.dispose]: () => (hangUp = undefined) };
    },
    onSignals(listener) {
      takeOver = listener;
      for (const name of passedOn) process.on(name, listener);
      return {
        [Symbol.dispose]() {
          takeOver = undefined;
          for (const name of passedOn) process.off(name, listener);
        },
      };
    },
    [Symbol.dispose]() {
      for (const name of watched) process.off(name, onSignal);
    },
  };
}
