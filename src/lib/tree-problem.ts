import { type ByteString, toPrintable } from '../model/byte-string.ts';
import { errnoOf } from '../model/errors.ts';

/**
 * Something in a tree that was not carried exactly, or not at all; the rest was. `unsupported` is what the
 * target has no form for, `metadata` an owner, attribute or mode that could not be set.
 */
export interface TreeProblem {
  /** Safe to print. */
  readonly path: string;
  readonly reason: 'vanished' | 'changed' | 'unreadable' | 'unsupported' | 'metadata';
  readonly message: string;
}

export type ProblemReporter = (problem: TreeProblem) => void;

/** The problem of a path that could not be read, from the system's error. Throws any other error. */
export function readProblem(path: ByteString, error: unknown): TreeProblem {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  const name = toPrintable(path === '' ? '.' : path);
  if (errno === 'ENOENT') {
    return { path: name, reason: 'vanished', message: `"${name}" vanished before it could be read` };
  }
  if (errno === 'ELOOP' || errno === 'ENOTDIR') {
    return {
      path: name,
      reason: 'changed',
      message: `"${name}" became something else before it could be read`,
    };
  }
  return { path: name, reason: 'unreadable', message: `"${name}" cannot be read: ${reasonText(errno)}` };
}

/** What lies on a file system mounted there is not part of the tree. */
export function mountedProblem(entryPath: ByteString): TreeProblem {
  const path = toPrintable(entryPath);
  const message = `"${path}" has another file system mounted on it: what is in that is left out`;
  return { path, reason: 'unsupported', message };
}

/** Common errno names in words. */
export function reasonText(errno: string): string {
  return reasons[errno] ?? errno;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EIO: 'the disk reports an error',
  ENOSPC: 'no space is left',
  EDQUOT: 'the quota is used up',
  EROFS: 'it is read-only',
  ENAMETOOLONG: 'the name is too long for the file system',
  EFBIG: 'it is too large for the file system',
  EOPNOTSUPP: 'the file system does not support it',
  EMFILE: 'too many files are open',
  ENOENT: 'it does not exist',
  ENOTDIR: 'it is not a directory',
  EISDIR: 'it is a directory',
  ELOOP: 'it is a symbolic link',
};
