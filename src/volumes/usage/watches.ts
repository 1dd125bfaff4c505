import { closeSync, readSync } from 'node:fs';
import koffi from 'koffi';
import { errnoOf } from '../../model/errors.ts';

/** Notified when something in its directory has changed, or when nothing will report that any more. */
export interface Watcher {
  /** Undefined while it is not watched. */
  watch: number | undefined;
}

/**
 * Watches of directories with their watchers. The kernel has one watch for a directory, which belongs to the
 * last watcher that asked.
 */
export class Watches {
  readonly #inotify: Inotify;
  readonly #limit: number;
  readonly #watchers = new Map<number, Watcher>();

  constructor(inotify: Inotify, limit: number) {
    this.#inotify = inotify;
    this.#limit = limit;
  }

  get count(): number {
    return this.#watchers.size;
  }

  /** False if the directory cannot be watched, or there are too many. Reports changes after its return. */
  add(watcher: Watcher, directoryFd: number): boolean {
    if (this.#watchers.size >= this.#limit) return false;
    const watch = this.#inotify.add(directoryFd);
    if (watch === undefined) return false;
    const before = this.#watchers.get(watch);
    if (before !== undefined) before.watch = undefined;
    watcher.watch = watch;
    this.#watchers.set(watch, watcher);
    return true;
  }

  remove(watcher: Watcher): void {
    if (watcher.watch === undefined) return;
    this.#inotify.remove(watcher.watch);
    this.#watchers.delete(watcher.watch);
    watcher.watch = undefined;
  }

  /** Clears the watch of all whose directories have changed. False when it is unknown which ones have. */
  settle(): boolean {
    const { ended, hasOverflown } = this.#inotify.drain();
    if (hasOverflown) return false;
    for (const watch of ended) {
      const watcher = this.#watchers.get(watch);
      if (watcher === undefined) continue;
      watcher.watch = undefined;
      this.#watchers.delete(watch);
    }
    return true;
  }
}

const libc = koffi.load(null);
const init = libc.func('int inotify_init1(int flags)');
const addWatch = libc.func('int inotify_add_watch(int fd, const char *path, uint32_t mask)');
const removeWatch = libc.func('int inotify_rm_watch(int fd, int watch)');

const nonBlockingClosedOnExec = 0x800 | 0x8_0000;

/**
 * For a directory's entries: written, closed after writing, attributes set, made, removed, moved; for the
 * directory itself: removed, moved, attributes set.
 */
const changes = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800;
/** Directories only; nothing for unlinked entries; and a single event, which ends the watch. */
const onceOfDirectory = 0x0100_0000 | 0x0400_0000 | 0x8000_0000;
const mask = (changes | onceOfDirectory) >>> 0;

const queueOverflow = 0x4000;
const headerBytes = 16;

/** What has happened since the last time. */
export interface DrainedEvents {
  /** The watches that ended, by a change or a removed directory. May repeat, and include unknown ones. */
  readonly ended: readonly number[];
  /** Some events were lost: nothing is known of any watch. */
  readonly hasOverflown: boolean;
}

/**
 * Reports once for a directory that something in it, or it itself, has changed. Its event ends a watch, so
 * the kernel's queue cannot exceed two events a watch, however much is written. The kernel ends all watches
 * with the process.
 */
export class Inotify implements Disposable {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(64 << 10);

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined where the kernel lacks it, or the user has too many. */
  static open(): Inotify | undefined {
    const fd: number = init(nonBlockingClosedOnExec);
    return fd < 0 ? undefined : new Inotify(fd);
  }

  /**
   * Watches an open directory from now on, and returns the number of the watch, which is the existing one for
   * a watched directory. Undefined when it cannot be watched, or the user has too many.
   */
  add(directoryFd: number): number | undefined {
    const watch: number = addWatch(this.#fd, `/proc/self/fd/${directoryFd}`, mask);
    return watch < 0 ? undefined : watch;
  }

  remove(watch: number): void {
    removeWatch(this.#fd, watch);
  }

  /** Never waits. */
  drain(): DrainedEvents {
    const ended: number[] = [];
    for (;;) {
      const length = this.#read();
      if (length === 0) return { ended, hasOverflown: false };
      for (let at = 0; at < length; at += headerBytes + this.#buffer.readUInt32LE(at + 12)) {
        if ((this.#buffer.readUInt32LE(at + 4) & queueOverflow) !== 0) return { ended, hasOverflown: true };
        ended.push(this.#buffer.readInt32LE(at));
      }
    }
  }

  #read(): number {
    try {
      return readSync(this.#fd, this.#buffer);
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') return 0;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
