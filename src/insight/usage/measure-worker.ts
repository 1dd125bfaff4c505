/**
 * A process that reads the sizes of trees and disks for another one: a read of a disk that does not answer cannot be given
 * up, and stops everything else in its process. `node measure-worker.ts`
 *
 * It takes one question at a time, a line of JSON on standard input. Before each path it says which one it is about to
 * read, and while it reads it says so every second: silence means that the disk does not answer. It ends with its input.
 */
import { createInterface } from 'node:readline';
import { measureTree } from '../../lib/measure-tree.ts';
import type { ByteString } from '../../model/byte-string.ts';
import { type TreeSize, type Unwatched, WatchedSizes } from '../../volumes/index.ts';
import { type DiskRoom, roomAt } from './disk-room.ts';

export interface MeasureQuestion {
  /** `watched`: as `WatchedSizes` has it; `walked`: the whole tree now; `disk`: the room on its file system. */
  readonly kind: 'watched' | 'walked' | 'disk';
  readonly paths: readonly ByteString[];
}

/** `at`: the index of the path that is read now. */
export type MeasureWord = { readonly at: number } | { readonly found: readonly Measured[] };

/** Null for what cannot be read. */
export type Measured = TreeSize | Unwatched | DiskRoom | null;

const tellEveryMs = 1000;
const sizes = new WatchedSizes();

/** A pipe takes it before this returns: the next thing may be the read that never does. */
function say(word: MeasureWord): void {
  process.stdout.write(`${JSON.stringify(word)}\n`);
}

async function answer({ kind, paths }: MeasureQuestion): Promise<void> {
  let at = 0;
  const begin = (index: number): void => say({ at: (at = index) });
  const timer = setInterval(() => say({ at }), tellEveryMs);
  try {
    if (kind === 'watched') return say({ found: await sizes.measureWatched(paths, { onPath: begin }) });
    const found: Measured[] = [];
    for (const [index, path] of paths.entries()) {
      begin(index);
      found.push(kind === 'disk' ? roomAt(path) : await walk(path));
    }
    say({ found });
  } finally {
    clearInterval(timer);
  }
}

async function walk(path: ByteString): Promise<TreeSize | null> {
  try {
    const { bytes, targetBytes, files, others } = await measureTree(path);
    return { bytes: bytes + targetBytes, files: files + others };
  } catch {
    // It is gone, or cannot be read: its last size stays, with the reason why it is not watched.
    return null;
  }
}

// A service that is told to end is told so with all of its processes: this one ends when the other has.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
// The reader has ended.
process.stdout.on('error', () => process.exit());
for await (const line of createInterface({ input: process.stdin }))
  await answer(JSON.parse(line) as MeasureQuestion);
process.exit();
