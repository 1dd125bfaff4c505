import { closeSync, fsyncSync, openSync, rmdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { claimOnMachine, holderWords } from '../lib/machine-claim.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

/** A name in an open folder, so that another user's link on the way leads nowhere else. */
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

/** True when nothing is there afterwards; false for a directory that is not empty, which stays. */
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

/** Returns when the new names are on disk, without waiting for other processes' writes. */
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
 * Claims an engine's data against other processes that move it into the trash or out of it. Each of these
 * replaces the directory, so a lock on it would mean nothing, and one would remove what the other put there.
 * `locked` when another process has it.
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
