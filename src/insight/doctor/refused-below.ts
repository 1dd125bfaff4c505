import { readdirSync } from 'node:fs';
import { type DirectoryHandle } from '../../lib/directory-handle.ts';
import type { MountPoint } from '../../lib/mountinfo.ts';
import { openTrusted, realPathOf } from '../../lib/open-trusted.ts';
import { mountOf, statAt } from '../../lib/posix-at.ts';
import { type ByteString, fromBytes, fromText, toPath } from '../../model/byte-string.ts';
import { type Guard, refusedRights, right } from './access.ts';
import type { Credentials } from './credentials.ts';
import { guardOf } from './way.ts';

/** What of a tree a user cannot work with. */
export interface RefusedBelow {
  /** Relative to the root of the tree. */
  readonly first: ByteString;
  readonly guard: Guard;
  readonly refused: number;
  readonly count: number;
}

/** So many names are looked at, and not more: an answer is wanted now. */
const mostEntries = 20_000;
/** Each folder is opened from the top, name by name: one program that makes a long chain of them must not cost minutes. */
const mostNames = 100;

/**
 * What below a folder belongs to another user and is closed to this one. A user's own files are as the user
 * wants them, and `lost+found` is the file system's.
 */
export function findRefusedBelow(
  root: string,
  who: Credentials,
  { isReadOnly, mounts }: { readonly isReadOnly: boolean; readonly mounts: readonly MountPoint[] },
): RefusedBelow | undefined {
  using top = openTrusted(fromText(root));
  const mount = mountOf(top.fd);
  const others = mountsBelow(top, mounts);
  let first: Omit<RefusedBelow, 'count'> | undefined;
  let [count, entries] = [0, 0];
  const queue: ByteString[][] = [[]];
  for (let names = queue.shift(); names !== undefined && entries < mostEntries; names = queue.shift()) {
    using folder = openOrNothing(top, names);
    if (folder === undefined || mountOf(folder.fd) !== mount) continue;
    for (const name of namesIn(folder)) {
      if (++entries > mostEntries) break;
      const below = [...names, name].join('/');
      // Another mount is looked at by itself, and may hang.
      if (others.has(below)) continue;
      const found = lookAt(folder, name);
      if (found === undefined || (names.length === 0 && name === 'lost+found')) continue;
      const wanted =
        (found.isDirectory ? right.read | right.enter : right.read) | (isReadOnly ? 0 : right.write);
      const refused = found.uid === who.uid ? 0 : refusedRights(who, found, wanted);
      // What can be read is left alone: a program's own files are often root's.
      if ((refused & ~right.write) !== 0) {
        count++;
        first ??= { first: below, guard: found, refused };
      }
      if (found.isDirectory && names.length < mostNames) queue.push([...names, name]);
    }
  }
  return first === undefined ? undefined : { ...first, count };
}

/** Where other file systems are mounted below a folder, relative to it. */
export function mountsBelow(top: DirectoryHandle, mounts: readonly MountPoint[]): ReadonlySet<ByteString> {
  const root = realPathOf(top);
  const prefix = root === '/' ? '/' : `${root}/`;
  return new Set(
    mounts.filter(({ path }) => path.startsWith(prefix)).map(({ path }) => path.slice(prefix.length)),
  );
}

/** Undefined for what vanished meanwhile, or was replaced by a link. */
function openOrNothing(top: DirectoryHandle, names: readonly ByteString[]): DirectoryHandle | undefined {
  try {
    return top.openBelow(names);
  } catch {
    return undefined;
  }
}

function namesIn(folder: DirectoryHandle): ByteString[] {
  try {
    return readdirSync(toPath(folder.at('.')), { encoding: 'buffer' }).map(fromBytes);
  } catch {
    // Closed to this process too, or gone.
    return [];
  }
}

function lookAt(folder: DirectoryHandle, name: ByteString): Guard | undefined {
  try {
    const stat = statAt(folder.fd, name);
    return stat.isDirectory() || stat.isFile() ? guardOf(folder.at(name), stat) : undefined;
  } catch {
    // Gone meanwhile.
    return undefined;
  }
}
