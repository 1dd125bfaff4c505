import { awaitedLater } from '../../lib/awaited-later.ts';
import { closeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { openRegularPath } from '../../lib/open-regular.ts';
import { startWriteback } from '../../lib/posix.ts';
import type { ByteString } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { cloneAgain, type ClonedFile, cloneOpen } from './cloned-file.ts';
import type { EarlyClones } from './early-clones.ts';

interface Pending {
  readonly fd: number;
  readonly clone: PromiseWithResolvers<ClonedFile | undefined>;
}

/** Each clone takes two open files: the original and itself. */
const maxClones = 400;
/** Cloning yields to timers after this long, or after one longer file. */
const sliceMs = 15;

/**
 * Files that are cloned while the data is still. Before sharing a file's blocks, a file system writes its
 * dirty pages to disk and waits for that. So writeback of all files starts during the walk, and they are
 * cloned after it.
 */
export class StillClones implements Disposable {
  #pending: Pending[] = [];
  #count = 0;
  readonly #early: EarlyClones | undefined;

  constructor(early: EarlyClones | undefined) {
    this.#early = early;
  }

  /**
   * The clone follows with `cloneAll()`: undefined where cloning fails. Undefined at once for a file that
   * cannot be opened.
   */
  open(file: ByteString): Promise<ClonedFile | undefined> | undefined {
    if (this.#count >= maxClones) return undefined;
    try {
      const fd = openRegularPath(file).fd;
      this.#count++;
      startWriteback(fd, { offset: 0, length: 0 });
      const clone = Promise.withResolvers<ClonedFile | undefined>();
      awaitedLater(clone.promise);
      this.#pending.push({ fd, clone });
      return clone.promise;
    } catch {
      // The code that then reads the file itself reports the error.
      return undefined;
    }
  }

  /**
   * Afterwards the opened files may change, except for those that could not be cloned. Returns how many were
   * cloned. Calls `onClone` for each, and lets due timers run in between: the time for stillness may be over.
   */
  async cloneAll(folder: ByteString, onClone: () => void): Promise<number> {
    let cloned = 0;
    let last = performance.now();
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      const { fd, clone } = next;
      const made = this.#byEarly(fd) ?? cloneOrNothing(fd, folder);
      if (made !== undefined) {
        cloned++;
        onClone();
      }
      closeSync(fd);
      clone.resolve(made);
      if (performance.now() - last < sliceMs) continue;
      await setImmediate();
      last = performance.now();
    }
    return cloned;
  }

  #byEarly(fd: number): ClonedFile | undefined {
    const before = this.#early?.of(fd);
    if (before === undefined) return undefined;
    try {
      const made = cloneAgain(fd, before);
      if (made !== undefined) {
        this.#early?.letGo(fd);
        return made;
      }
    } catch {
      // Cloning it completely may still work.
    }
    this.#early?.spoil(fd);
    return undefined;
  }

  /** For a walk that was not finished. */
  [Symbol.dispose](): void {
    for (const { fd, clone } of this.#pending) {
      closeSync(fd);
      clone.reject(new AppError('cancelled', 'The walk has ended before its end'));
    }
    this.#pending = [];
  }
}

function cloneOrNothing(fd: number, folder: ByteString): ClonedFile | undefined {
  try {
    return cloneOpen(fd, folder);
  } catch {
    return undefined;
  }
}
