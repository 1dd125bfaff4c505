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

/** The target of metadata: an open file or directory, or a name that is never followed. */
export type MetadataTarget = {
  /** Below the target, for messages. */
  readonly path: ByteString;
} & (
  | { readonly fd: number }
  /** A path that leads from an open directory to this name. */
  | { readonly at: ByteString; readonly isSymlink: boolean }
);

/**
 * Sets a new file's owner, attributes, mode and times, in an order in which each survives: changing the owner
 * clears setuid and capabilities, a mode may forbid attributes, an ACL is more than a mode, and everything
 * changes times. What this process may not do is reported, not thrown.
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
    // Without the right owner, setuid and setgid would grant the rights of the wrong one.
    const mode = isOwned ? metadata.mode : metadata.mode & 0o1777;
    attempt('mode', () => {
      if (typeof thing === 'number') fchmodSync(thing, mode);
      else chmodNoFollow(thing, mode);
    });
  }
  for (const attribute of metadata.xattrs) if (isAcl(attribute)) setAttribute(attribute);
  attempt('time', () => setTimes(thing, metadata.mtimeNs));
}

/** The same for a directory that is open by O_PATH only. */
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
 * Errors for metadata that is not permitted, not supported or does not fit, which is only reported; any other
 * error throws. ext4 returns ENOSPC for an attribute that does not fit.
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

/**
 * Removes ACLs that a new entry inherited from its directory; everything created in it would inherit them
 * too. True if there were any.
 */
export function dropInheritedAcls(at: ByteString): boolean {
  const acls = listXattrs(at).filter(isAcl);
  for (const { name } of acls) removeXattr(at, name);
  return acls.length > 0;
}
