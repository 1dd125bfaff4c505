import { chmodSync, closeSync, constants, fchmodSync, fchownSync, lchownSync, openSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import type { Entry, ExtendedAttribute } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { changeOwner, closeQuickly, openFlag, openFromHere, statOpen } from './posix-at.ts';
import { removeXattr, setTimes, setXattr } from './posix.ts';
import { type ProblemReporter, reasonText } from './tree-problem.ts';

export interface MetadataTarget {
  /** The path for system calls; for a directory it ends in `/.`. */
  readonly at: ByteString;
  /** Present for files. */
  readonly fd?: number | undefined;
  /** The entry inherited its directory's default ACL, which must be removed if it should have none. */
  readonly inheritedAcl?: boolean | undefined;
  /** Default true. Otherwise it keeps its creator as owner, and gets no setuid and setgid. */
  readonly setsOwner?: boolean | undefined;
}

const openPath = 0o10000000;
const aclNames = ['system.posix_acl_access', 'system.posix_acl_default'] as const;

/**
 * Sets the owner, attributes, mode and times of an entry, in the one order that works: changing the owner
 * clears setuid and capabilities, an ACL changes the mode, and everything changes the times. What cannot be
 * set is reported. Nothing is set through a symbolic link.
 */
export function applyMetadata(target: MetadataTarget, entry: Entry, report: ProblemReporter): void {
  using held = holdNode(target, entry);
  const attempt = (what: string, action: () => void) => attemptTo(action, { what, entry, report });
  const thing = target.fd ?? target.at;
  const isOwned =
    target.setsOwner !== false &&
    attempt('owner', () => {
      if (target.fd !== undefined) fchownSync(target.fd, entry.uid, entry.gid);
      else if (held !== undefined) changeOwner(held.fd, entry);
      else lchownSync(toPath(target.at), entry.uid, entry.gid);
    });
  if (target.inheritedAcl === true) removeAcls(target.at, entry);
  for (const attribute of entry.xattrs ?? []) {
    attempt(`extended attribute "${toPrintable(attribute.name)}"`, () => setXattr(thing, attribute));
  }
  if (entry.type !== 'symlink') {
    // Without the right owner, setuid and setgid would grant the rights of the wrong one.
    const mode = isOwned ? entry.mode : entry.mode & 0o1777;
    attempt('mode', () => {
      if (target.fd !== undefined) fchmodSync(target.fd, mode);
      else chmodSync(held === undefined ? toPath(target.at) : `/proc/self/fd/${held.fd}`, mode);
    });
  }
  attempt('time', () => setTimes(thing, entry.mtimeNs));
}

/**
 * Holds an entry other than a file or a directory, which are already open: another user who owns the
 * directory can give its name to a file of root's.
 */
function holdNode(
  { at, fd }: MetadataTarget,
  entry: Entry,
): ({ readonly fd: number } & Disposable) | undefined {
  if (fd !== undefined || entry.type === 'dir' || entry.type === 'file') return undefined;
  const node = openFromHere(at, openFlag.path | constants.O_NOFOLLOW);
  const found = statOpen(node);
  if (!found.isFile() && !found.isDirectory())
    return { fd: node, [Symbol.dispose]: () => closeQuickly(node) };
  closeQuickly(node);
  const message = `Cannot write "${toPrintable(entry.path)}": another program has put something else in its place`;
  throw new AppError('conflict', message);
}

/** Sets the mode, but never of a symbolic link or through one: `EOPNOTSUPP` then. */
export function chmodNoFollow(at: ByteString, mode: number): void {
  const fd = openSync(toPath(at), openPath | constants.O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${fd}`, mode);
  } finally {
    closeSync(fd);
  }
}

/** Removes existing ACLs that the entry does not have. */
export function removeAcls(at: ByteString, entry: { readonly xattrs?: readonly ExtendedAttribute[] }): void {
  for (const name of aclNames) {
    if (entry.xattrs?.some((attribute) => attribute.name === name) === true) continue;
    try {
      removeXattr(at, name);
    } catch (error) {
      if (!['ENODATA', 'EOPNOTSUPP', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
}

interface Attempt {
  readonly what: string;
  readonly entry: Entry;
  readonly report: ProblemReporter;
}

/** ext4 returns ENOSPC for an attribute that does not fit, so even that must not end the rest. */
function attemptTo(action: () => void, { what, entry, report }: Attempt): boolean {
  try {
    action();
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined && !(error instanceof RangeError)) throw error;
    const path = toPrintable(entry.path === '' ? '.' : entry.path);
    const reason = reasonText(errno ?? 'the value is out of range');
    report({ path, reason: 'metadata', message: `The ${what} of "${path}" could not be set: ${reason}` });
    return false;
  }
}
