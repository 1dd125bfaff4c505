import { inodeFlag, readInodeFlags } from '../../lib/ioctl.ts';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { NotKept } from './save-types.ts';

/** Attributes of chattr(1) that snapshots cannot hold, and that several file systems have. */
const kinds = [
  { flag: inodeFlag.immutable, what: 'immutable (chattr +i)' },
  { flag: inodeFlag.appendOnly, what: 'append-only (chattr +a)' },
  { flag: inodeFlag.noCopyOnWrite, what: 'not copied on write (chattr +C)' },
  { flag: inodeFlag.compressed, what: 'compressed (chattr +c)' },
] as const;

const all = kinds.reduce((mask, { flag }) => mask | flag, 0);

/**
 * The attributes of an open file or directory. 0 where it has none, and where the file system has no such
 * attributes.
 */
export function flagsNotKept(fd: number): number {
  return (readInodeFlags(fd) ?? 0) & all;
}

/** Counts entries with such attributes, for one line of each kind. */
export class NotKeptCounter {
  readonly #found = new Map<number, { count: number; readonly example: ByteString }>();

  add(flags: number, path: ByteString): void {
    if (flags === 0) return;
    for (const { flag } of kinds) {
      if ((flags & flag) === 0) continue;
      const known = this.#found.get(flag);
      if (known === undefined) this.#found.set(flag, { count: 1, example: path });
      else known.count++;
    }
  }

  /** Merges the findings of several passes over the same data: a later one may have read less. */
  static list(counters: readonly NotKeptCounter[]): NotKept[] {
    return kinds.flatMap(({ flag, what }) => {
      const found = counters.flatMap((counter) => counter.#found.get(flag) ?? []);
      const most = found.reduce((best, one) => (one.count > best.count ? one : best), {
        count: 0,
        example: '',
      });
      return most.count === 0 ? [] : [{ what, count: most.count, example: toPrintable(most.example || '.') }];
    });
  }
}
