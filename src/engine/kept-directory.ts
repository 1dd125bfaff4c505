import { closeSync, fsyncSync, openSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { errnoOf } from '../model/errors.ts';

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
