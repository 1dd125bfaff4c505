import type { WriteTarOptions } from '../lib/tar/write-tar.ts';
import { toPrintable } from '../model/byte-string.ts';
import type { WorkLog } from './work-log.ts';

/** For writing tar: what it has no form for is a problem like any other. */
export function tarOptions({ signal, onProblem }: WorkLog): WriteTarOptions {
  return {
    signal,
    onProblem,
    onSkipped: ({ path }, message) => onProblem({ path: toPrintable(path), reason: 'unsupported', message }),
  };
}
