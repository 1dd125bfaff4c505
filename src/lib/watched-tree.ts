import type { BigIntStats } from 'node:fs';
import type { ByteString } from '../model/byte-string.ts';
import { unpackDevice } from './posix.ts';
import type { DirectoryScanner } from './scan-directory.ts';
import { TreeQuestion } from './tree-question.ts';
import { forgetFolder, newFolder, type WatchedFolder } from './watched-folder.ts';
import type { Watches } from './watches.ts';

export interface WatchClock {
  /** Milliseconds since any moment, never set. */
  readonly steadyMs: () => number;
  /** Since 1970. */
  readonly nowSeconds: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export interface WatchedTreeParts {
  readonly watches: Watches;
  readonly scanner: DirectoryScanner;
  readonly clock: WatchClock;
}

export type TreeRoot = Pick<BigIntStats, 'dev' | 'ino'>;

/** Each directory is read again after half of it to all of it: a bound for what nobody tells of. */
export const readAgainMs = 600_000;

/** The sum of the lengths of what is in a tree, where only that is read again which has changed. For one question at a time. */
export class WatchedTree implements Disposable {
  readonly #path: ByteString;
  readonly #parts: WatchedTreeParts;
  readonly #deviceNumber: bigint;
  readonly #device: string;
  readonly #root: WatchedFolder;
  /** Of the files with names elsewhere: how many are here and how many there are, as it was when all had been read. */
  #elsewhere: ReadonlyMap<bigint, string> = new Map();

  constructor(path: ByteString, { dev, ino }: TreeRoot, parts: WatchedTreeParts) {
    this.#path = path;
    this.#parts = parts;
    this.#deviceNumber = dev;
    const { major, minor } = unpackDevice(dev);
    this.#device = `${major}:${minor}`;
    this.#root = newFolder('', Number(ino));
  }

  isAt({ dev, ino }: TreeRoot): boolean {
    return dev === this.#deviceNumber && Number(ino) === this.#root.inode;
  }

  /**
   * The bytes of everything but directories, as the engine counts them, each file once. The watches have been settled.
   * After a cancel it can be asked again. Throws `Unwatchable` when it has to be walked.
   */
  async bytes(signal: AbortSignal | undefined): Promise<number> {
    const question = this.#question({ signal, readsAll: false });
    const bytes = await question.ask(this.#root);
    const elsewhere = namesElsewhere(question);
    const isKnown = [...elsewhere].every(([inode, state]) => this.#elsewhere.get(inode) === state);
    if (isKnown || question.hasReadAll) {
      this.#elsewhere = elsewhere;
      return bytes;
    }
    // A second name was made for a file, and nobody has told the directory of the first: it may take it for one of its own.
    const again = this.#question({ signal, readsAll: true });
    const all = await again.ask(this.#root);
    this.#elsewhere = namesElsewhere(again);
    return all;
  }

  #question(options: { readonly signal: AbortSignal | undefined; readonly readsAll: boolean }): TreeQuestion {
    const { watches, scanner, clock } = this.#parts;
    return new TreeQuestion({
      ...options,
      watches,
      scanner,
      path: this.#path,
      device: this.#device,
      deviceNumber: this.#deviceNumber,
      startMs: clock.steadyMs(),
      startSeconds: clock.nowSeconds(),
      // Not all at once.
      dueMs: () => clock.steadyMs() + readAgainMs * (0.5 + 0.5 * clock.random()),
    });
  }

  [Symbol.dispose](): void {
    forgetFolder(this.#root, this.#parts.watches);
  }
}

function namesElsewhere({ links: found }: TreeQuestion): Map<bigint, string> {
  const elsewhere = new Map<bigint, string>();
  for (const [inode, { names, links }] of found)
    if (names < links) elsewhere.set(inode, `${names} of ${links}`);
  return elsewhere;
}
