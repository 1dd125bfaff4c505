import { chmodSync, closeSync, constants, fchmodSync, fchownSync, lchownSync, openSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import type { Entry, ExtendedAttribute } from '../model/entry.ts';
import { errnoOf } from '../model/errors.ts';
import { removeXattr, setTimes, setXattr } from './posix.ts';
import { type ProblemReporter, reasonText } from './tree-problem.ts';

export interface MetadataTarget {
  /** Names the thing itself for system calls; for a directory it ends in `/.`. */
  readonly at: ByteString;
  /** The open file, for files. */
  readonly fd?: number | undefined;
  /** The thing got its directory's default ACL when it was made, which an entry without ACLs must lose. */
  readonly inheritedAcl?: boolean | undefined;
  /** Default true. Otherwise it stays its maker's own, and without setuid and setgid. */
  readonly setsOwner?: boolean | undefined;
}

const openPath = 0o10000000;
const aclNames = ['system.posix_acl_access', 'system.posix_acl_default'] as const;

/**
 * Gives a thing the owner, attributes, mode and times of its entry, in the one order that works: a change of owner
 * clears setuid and capabilities, an ACL changes the mode, and everything changes the times. What cannot be set is
 * reported. Nothing is set through a symbolic link.
 */
export function applyMetadata(target: MetadataTarget, entry: Entry, report: ProblemReporter): void {
  const attempt = (what: string, action: () => void) => attemptTo(action, { what, entry, report });
  const isOwned =
    target.setsOwner !== false &&
    attempt('owner', () => {
      if (target.fd === undefined) lchownSync(toPath(target.at), entry.uid, entry.gid);
      else fchownSync(target.fd, entry.uid, entry.gid);
    });
  if (target.inheritedAcl === true) removeAcls(target.at, entry);
  for (const attribute of entry.xattrs ?? []) {
    attempt(`extended attribute "${toPrintable(attribute.name)}"`, () => setXattr(target.at, attribute));
  }
  if (entry.type !== 'symlink') {
    // Who could not become the owner must not lend the wrong owner's rights.
    const mode = isOwned ? entry.mode : entry.mode & 0o1777;
    attempt('mode', () => setMode(target, entry, mode));
  }
  attempt('time', () => setTimes(target.at, entry.mtimeNs));
}

function setMode(target: MetadataTarget, entry: Entry, mode: number): void {
  if (target.fd !== undefined) return fchmodSync(target.fd, mode);
  if (entry.type === 'dir') return chmodSync(toPath(target.at), mode);
  chmodNoFollow(target.at, mode);
}

/** The mode of what is neither a symbolic link nor behind one: `EOPNOTSUPP` then. */
export function chmodNoFollow(at: ByteString, mode: number): void {
  const fd = openSync(toPath(at), openPath | constants.O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${fd}`, mode);
  } finally {
    closeSync(fd);
  }
}

/** Removes ACLs that are there and that the entry does not have. */
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

/** ext4 says ENOSPC for an attribute that does not fit, so even that is no reason to give up the rest. */
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
