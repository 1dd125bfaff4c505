import type { WriteTarOptions } from '../lib/tar/write-tar.ts';
import type { WorkLog } from './work-log.ts';

/** For writing tar. Sockets, which it has no form for, mean nothing without their server: a note is enough. */
export function tarOptions(log: WorkLog): WriteTarOptions {
  const { signal, onProblem } = log;
  return {
    signal,
    onProblem,
    onSkipped: (_, message) => log.note(`${message}.`),
  };
}
