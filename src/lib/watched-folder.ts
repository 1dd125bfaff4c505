import type { ByteString } from '../model/byte-string.ts';
import type { Watcher, Watches } from './watches.ts';

/** A directory that is watched, with what is known of it while nothing says that it has changed. */
export interface WatchedFolder extends Watcher {
  readonly name: ByteString;
  readonly inode: number;
  /** Sum of the lengths of what need not be asked. */
  quietBytes: number;
  /** The names of what has to be asked each time, divided by zeros; undefined when they are so many that all is read again. */
  asks: ByteString | undefined;
  below: readonly WatchedFolder[];
  /** When it is read again at the latest, though nothing has said that it changed. */
  dueMs: number;
}

export const noFolders: readonly WatchedFolder[] = [];

/** Nothing is known of it yet. */
export function newFolder(name: ByteString, inode: number): WatchedFolder {
  return { watch: undefined, name, inode, quietBytes: 0, asks: '', below: noFolders, dueMs: 0 };
}

/** Takes the watches away of a directory and of all below it. */
export function forgetFolder(folder: WatchedFolder, watches: Watches): void {
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    watches.remove(next);
    // They may be more than a call takes arguments.
    for (const below of next.below) waiting.push(below);
    next.below = noFolders;
  }
}

/** Why a tree cannot be watched: whoever wants to know of it has to walk. */
export class Unwatchable extends Error {
  /** It will be the same the next time. */
  readonly isLasting: boolean;

  constructor(message: string, { isLasting }: { readonly isLasting: boolean }) {
    super(message);
    this.isLasting = isLasting;
  }
}
