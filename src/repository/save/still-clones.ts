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

/** Each is an open file, and another for its clone. */
const maxClones = 400;
/** A timer waits no longer than that, and than one file takes. */
const sliceMs = 15;

/**
 * Files that are cloned while the data is still. A file system writes down what of a file is not on its disk yet before it
 * shares its blocks, and waits for that; so the disk is told of all of them while the walk goes on, and they are cloned
 * when it is over.
 */
export class StillClones implements Disposable {
  #pending: Pending[] = [];
  #count = 0;
  readonly #early: EarlyClones | undefined;

  constructor(early: EarlyClones | undefined) {
    this.#early = early;
  }

  /** The clone follows with `cloneAll()`, undefined where it cannot be had. Undefined at once for what cannot be opened. */
  open(file: ByteString): Promise<ClonedFile | undefined> | undefined {
    if (this.#count >= maxClones) return undefined;
    try {
      const fd = openRegularPath(file).fd;
      this.#count++;
      startWriteback(fd, { offset: 0, length: 0 });
      const clone = Promise.withResolvers<ClonedFile | undefined>();
      clone.promise.catch(() => undefined);
      this.#pending.push({ fd, clone });
      return clone.promise;
    } catch {
      // The one who reads the file itself says what is wrong with it.
      return undefined;
    }
  }

  /**
   * Nothing that was opened has to stay as it is afterwards, but for what could not be cloned. Returns how many could. Each
   * of them is told, and between two of them what is due is done: the time for it may be over.
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
      // Cloned as a whole, it may still be had.
    }
    this.#early?.spoil(fd);
    return undefined;
  }

  /** For a walk that did not come to its end. */
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
