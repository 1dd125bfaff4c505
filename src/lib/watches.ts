import type { Inotify } from './inotify.ts';

/** What is told when something in its directory has changed, or when nothing will tell of it any more. */
export interface Watcher {
  /** Undefined while nothing watches it. */
  watch: number | undefined;
}

/** Watches of directories, each with who wants to know. The kernel has one watch for a directory, whoever asks: the last one that asks has it. */
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

  /** False when the directory cannot be watched, or there would be too many. What happens from its return on is told. */
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

  /** Takes the watch away of all whose directories have changed. False when it is not known which ones have. */
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
