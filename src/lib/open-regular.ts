import { constants } from 'node:fs';
import { errnoOf } from '../model/errors.ts';
import type { ByteString } from '../model/byte-string.ts';
import { closeQuickly, type FileStat, openAt, openFlag, reopen, statOpen } from './posix-at.ts';

export interface OpenRegular {
  /** Open for reading; the caller closes it. */
  readonly fd: number;
  /** Taken from the very file, before it was opened. */
  readonly stat: FileStat;
}

const fromCurrentFolder = -100;

/**
 * Opens a regular file of an open directory for reading. Opening a device, a FIFO or a tape has effects, and
 * the name may belong to another file than a moment ago: so the entry is first held without being opened, and
 * opened only if it is a regular file. Anything else is an error: `ELOOP` for a symbolic link, `ENOTDIR` for
 * the rest.
 */
export function openRegular(directory: number, name: ByteString, flags: number = readFlags): OpenRegular {
  const node = openAt(directory, name, openFlag.path | constants.O_NOFOLLOW);
  try {
    const stat = statOpen(node);
    if (!stat.isFile()) throw isOther(stat);
    return { fd: openHeld(node, flags), stat };
  } finally {
    closeQuickly(node);
  }
}

/** The same by path, of which only the last part may not be a symbolic link. */
export function openRegularPath(path: ByteString, flags?: number): OpenRegular {
  return openRegular(fromCurrentFolder, path, flags);
}

const readFlags = constants.O_RDONLY | openFlag.noAccessTime;

function openHeld(node: number, flags: number): number {
  // Does not wait for another process to give up a lease.
  const always = constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return reopen(node, flags | always);
  } catch (error) {
    // Only the owner may preserve the access time.
    if (errnoOf(error) !== 'EPERM' || (flags & openFlag.noAccessTime) === 0) throw error;
    return reopen(node, (flags & ~openFlag.noAccessTime) | always);
  }
}

function isOther(stat: FileStat): Error {
  const code = stat.isSymbolicLink() ? 'ELOOP' : 'ENOTDIR';
  return Object.assign(new Error('It is no regular file.'), { code });
}
