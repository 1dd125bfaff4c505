import { closeSync, fsyncSync, openSync, rmdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { claimOnMachine, holderWords } from '../lib/machine-claim.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

/** A name of an open folder: no link that another user puts on the way leads elsewhere. */
export interface HeldName extends Disposable {
  readonly folder: DirectoryHandle;
  readonly name: ByteString;
  /** For system calls. */
  readonly at: ByteString;
}

export function holdName(path: ByteString): HeldName {
  const folder = openTrusted(dirname(path));
  const name = basename(path);
  return { folder, name, at: folder.at(name), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

export function takenByOther(path: string): AppError {
  return new AppError('conflict', `${quote(path)} was replaced by another program meanwhile`, {
    hint: 'Find out what does that, and try again.',
  });
}

/** True when nothing is there afterwards; false for a directory that holds something, which stays. */
export function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true;
    if (errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** When it returns, what these are called is on the disk, without waiting for what others write. */
export function syncNames(paths: readonly ByteString[]): void {
  for (const path of paths) {
    const folder = openSync(toPath(dirname(path)), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}

/**
 * No other process moves an engine's data into the trash or out of it meanwhile: the directory is another one after each of
 * these, so that a lock on it says nothing, and what is there at the end of the one is what the other removes. `locked`
 * when one does.
 */
export async function claimData(
  path: ByteString,
  { action, name }: { readonly action: string; readonly name: string },
): Promise<AsyncDisposable> {
  const claim = await claimOnMachine(`data ${path}`);
  if (!('heldBy' in claim)) return claim;
  const who = holderWords(claim.heldBy);
  throw new AppError('locked', `Cannot ${action} ${quote(name)}: ${who} moves its data`, {
    hint: 'Wait until it is done.',
  });
}
