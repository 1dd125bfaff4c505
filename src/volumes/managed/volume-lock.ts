import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { isStillRunning } from '../../lib/run-to-end.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';

const flock = koffi.load(null).func('int flock(int fd, int operation)');
const exclusiveWithoutWaiting = 2 | 4;

export interface VolumeLockOptions {
  readonly name: string;
  /** What is to be done, for the message: `remove`. */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
  readonly waitMs?: number;
}

/**
 * An exclusive lock on a volume's folder among all processes, released by the kernel when the process ends.
 * Undefined when there is no such folder. Locks the folder that has the name now; releases one that was
 * renamed meanwhile. `locked` when another process does not release it in time.
 */
export async function lockVolumeFolder(
  path: string,
  options: VolumeLockOptions,
): Promise<Disposable | undefined> {
  const { name, action, signal, waitMs = 95_000 } = options;
  const until = performance.now() + waitMs;
  for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
    if (signal?.aborted === true)
      throw new AppError('cancelled', `Cannot ${action} volume ${quote(name)}: cancelled`, {
        cause: signal.reason,
      });
    const attempt = tryLock(path);
    if (attempt !== 'busy') return attempt;
    if (performance.now() >= until) break;
    // The next try sees a cancel.
    await sleep(pause, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
  throw new AppError(
    'locked',
    `Cannot ${action} volume ${quote(name)}: other work on it does not come to an end`,
    {
      hint: 'See whether its storage answers: "holdfast volume health".',
    },
  );
}

function tryLock(path: string): Disposable | undefined | 'busy' {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR' || errnoOf(error) === 'ELOOP')
      return undefined;
    throw error;
  }
  // A program that still changes the volume's storage holds it too, even after its Holdfast was killed.
  if (flock(fd, exclusiveWithoutWaiting) === 0 && isStillAt(fd, path) && !isStillRunning(path))
    return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  return 'busy';
}

function isStillAt(fd: number, path: string): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false });
  const held = fstatSync(fd);
  return now !== undefined && now.ino === held.ino && now.dev === held.dev;
}
