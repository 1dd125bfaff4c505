import { chmodSync, fchmodSync, fchownSync, lchownSync } from 'node:fs';
import { listXattrs, removeXattr, setTimes, setXattr } from '../../lib/posix.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { Metadata } from './restore-task.ts';

/** Where metadata goes: an open file, or a path whose last part is never followed. */
export interface MetadataTarget {
  readonly path: ByteString;
  readonly fd?: number;
  readonly isSymlink?: boolean;
}

/**
 * Gives a new file its owner, mode, attributes and times, in the order that lets each survive: a change of owner
 * clears setuid and capabilities, and everything changes times. What this process may not do is told, not thrown.
 */
export function applyMetadata(target: MetadataTarget, metadata: Metadata, problems: SaveProblem[]): void {
  const { path, fd } = target;
  attempt(path, 'owner', problems, () => {
    if (fd === undefined) lchownSync(toPath(path), metadata.uid, metadata.gid);
    else fchownSync(fd, metadata.uid, metadata.gid);
  });
  if (!target.isSymlink) {
    attempt(path, 'mode', problems, () => {
      if (fd === undefined) chmodSync(toPath(path), metadata.mode);
      else fchmodSync(fd, metadata.mode);
    });
  }
  for (const attribute of metadata.xattrs) {
    attempt(path, `attribute "${toPrintable(attribute.name)}"`, problems, () =>
      setXattr(fd ?? path, attribute),
    );
  }
  attempt(path, 'time', problems, () => setTimes(fd ?? path, metadata.mtimeNs));
}

/** What is not permitted or not supported here is a difference worth telling; anything else is an error. */
const bearable = new Set(['EPERM', 'EACCES', 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL']);

function attempt(path: ByteString, what: string, problems: SaveProblem[], set: () => void): void {
  try {
    set();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined || !bearable.has(code)) throw error;
    problems.push({ path, reason: 'changed', message: `its ${what} could not be set: ${code}` });
  }
}

/** Takes away ACLs that a new directory got from the one above: everything made in it would get them too. */
export function dropInheritedAcls(path: ByteString): void {
  for (const { name } of listXattrs(path)) {
    if (name === 'system.posix_acl_access' || name === 'system.posix_acl_default') removeXattr(path, name);
  }
}
