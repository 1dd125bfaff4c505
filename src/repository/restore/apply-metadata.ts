import { constants, fchmodSync, fchownSync, lchownSync } from 'node:fs';
import { chmodNoFollow } from '../../lib/apply-metadata.ts';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { closeQuickly, openAt } from '../../lib/posix-at.ts';
import { listXattrs, removeXattr, setTimes, setXattr } from '../../lib/posix.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import type { ExtendedAttribute } from '../../model/entry.ts';
import { errnoOf } from '../../model/errors.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { Metadata } from './restore-task.ts';

/** Where metadata goes: an open file or directory, or a name that is never followed. */
export type MetadataTarget = {
  /** Below the target, for people. */
  readonly path: ByteString;
} & (
  | { readonly fd: number }
  /** A path that goes from an open directory to this name. */
  | { readonly at: ByteString; readonly isSymlink: boolean }
);

/**
 * Gives a new file its owner, attributes, mode and times, in the order that lets each survive: a change of owner clears
 * setuid and capabilities, a mode may forbid attributes, an ACL is more than a mode, and everything changes times. What
 * this process may not do is told, not thrown.
 */
export function applyMetadata(target: MetadataTarget, metadata: Metadata, problems: SaveProblem[]): void {
  const { path } = target;
  const thing = 'fd' in target ? target.fd : target.at;
  const attempt = (what: string, set: () => void): boolean => attemptTo(set, { path, what, problems });
  const setAttribute = (attribute: ExtendedAttribute): void =>
    void attempt(`attribute "${toPrintable(attribute.name)}"`, () => setXattr(thing, attribute));
  const isOwned = attempt('owner', () => {
    if (typeof thing === 'number') fchownSync(thing, metadata.uid, metadata.gid);
    else lchownSync(toPath(thing), metadata.uid, metadata.gid);
  });
  for (const attribute of metadata.xattrs) if (!isAcl(attribute)) setAttribute(attribute);
  if ('fd' in target || !target.isSymlink) {
    // Who could not become the owner must not lend the wrong owner's rights.
    const mode = isOwned ? metadata.mode : metadata.mode & 0o1777;
    attempt('mode', () => {
      if (typeof thing === 'number') fchmodSync(thing, mode);
      else chmodNoFollow(thing, mode);
    });
  }
  for (const attribute of metadata.xattrs) if (isAcl(attribute)) setAttribute(attribute);
  attempt('time', () => setTimes(thing, metadata.mtimeNs));
}

/** The same for a directory that is open as a place only. */
export function applyToDirectory(
  { folder, path }: { readonly folder: DirectoryHandle; readonly path: ByteString },
  metadata: Metadata,
  problems: SaveProblem[],
): void {
  const fd = openAt(folder.fd, '.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    applyMetadata({ path, fd }, metadata, problems);
  } finally {
    closeQuickly(fd);
  }
}

/**
 * What is not permitted, not supported or does not fit here is a difference worth telling; anything else is an error.
 * ext4 says ENOSPC for an attribute that does not fit.
 */
const bearable = new Set(['EPERM', 'EACCES', 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL', 'ENOSPC', 'E2BIG', 'ERANGE']);

interface Attempt {
  readonly path: ByteString;
  readonly what: string;
  readonly problems: SaveProblem[];
}

function attemptTo(set: () => void, { path, what, problems }: Attempt): boolean {
  try {
    set();
    return true;
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined || !bearable.has(code)) throw error;
    problems.push({
      path,
      reason: 'changed',
      message: `has another ${what}, which could not be set: ${code}`,
    });
    return false;
  }
}

function isAcl({ name }: { readonly name: ByteString }): boolean {
  return name === 'system.posix_acl_access' || name === 'system.posix_acl_default';
}

/** Takes away ACLs that a new thing got from the directory above: everything made in it would get them too. True if there were any. */
export function dropInheritedAcls(at: ByteString): boolean {
  const acls = listXattrs(at).filter(isAcl);
  for (const { name } of acls) removeXattr(at, name);
  return acls.length > 0;
}
