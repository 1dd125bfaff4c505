import { constants, readlinkSync } from 'node:fs';
import { type ByteString, fromBytes, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { DirectoryHandle } from './directory-handle.ts';
import { openRegular, type OpenRegular } from './open-regular.ts';
import { closeQuickly, statAt, statOpen } from './posix-at.ts';

/** The kernel's limit. */
const mostLinks = 40;

const held = /^\/proc\/self\/fd\/\d+/;

/**
 * Opens a directory by its absolute path, name by name, of any length. A symbolic link is followed only where
 * only root and this process's own user can have created it: another user who owns a directory on the way
 * could lead root anywhere. Throws `denied` for such a link, and a system error for everything else.
 */
export function openTrusted(path: ByteString): DirectoryHandle {
  // A path through an open descriptor contains no link that could be changed.
  const start = held.exec(path)?.[0];
  const names = path.slice(start?.length ?? 0).split('/');
  const way: Way = { handle: DirectoryHandle.open(start ?? '/'), left: names.filter(isName), links: 0 };
  try {
    for (let name = way.left.shift(); name !== undefined; name = way.left.shift()) go(way, name, path);
    return way.handle;
  } catch (error) {
    way.handle[Symbol.dispose]();
    throw error;
  }
}

interface Way {
  handle: DirectoryHandle;
  /** The remaining names. */
  left: ByteString[];
  links: number;
}

function isName(name: ByteString): boolean {
  return name !== '' && name !== '.';
}

function go(way: Way, name: ByteString, path: ByteString): void {
  try {
    move(way, way.handle.openChild(name));
    return;
  } catch (error) {
    if (errnoOf(error) !== 'ENOTDIR' && errnoOf(error) !== 'ELOOP') throw error;
    const now = statAt(way.handle.fd, name);
    if (!now.isSymbolicLink() && !now.isDirectory()) throw error;
    if (++way.links > mostLinks) throw tooManyLinks(path);
    // The name was a link a moment ago: open what is there now.
    if (now.isDirectory()) return void way.left.unshift(name);
  }
  const target = trustedTarget(way.handle, name, path);
  if (target.startsWith('/')) move(way, DirectoryHandle.open('/'));
  way.left.unshift(...target.split('/').filter(isName));
}

function move(way: Way, next: DirectoryHandle): void {
  way.handle[Symbol.dispose]();
  way.handle = next;
}

/** The target of a link that only root and this user could have created or changed. */
function trustedTarget(folder: DirectoryHandle, name: ByteString, path: ByteString): ByteString {
  const above = statOpen(folder.fd);
  // Group access to another user's own directories is that user's decision.
  const others = isRoot() && above.gid !== 0n ? 0o022n : 0o002n;
  const isOpenToOthers = (above.mode & others) !== 0n;
  const isSticky = (above.mode & 0o1000n) !== 0n;
  // In a sticky directory no user can replace another's entries.
  const isTrusted =
    isOurs(above.uid) && (!isOpenToOthers || (isSticky && isOurs(statAt(folder.fd, name).uid)));
  if (isTrusted) return readlinkSync(toPath(folder.at(name)), { encoding: 'latin1' });
  throw new AppError(
    'denied',
    `Cannot go to "${toPrintable(path)}": "${toPrintable(name)}" on the way is a symbolic link that another user can change`,
    {
      hint: 'Give the path that it leads to, with --to where the snapshot names this one; or let the link and the folder that it is in belong to root.',
    },
  );
}

function isOurs(uid: bigint): boolean {
  return uid === 0n || uid === BigInt(process.geteuid?.() ?? 0);
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

function tooManyLinks(path: ByteString): Error {
  return Object.assign(new Error(`ELOOP: too many symbolic links in '${path}'`), { code: 'ELOOP', path });
}

/** The real path of an open directory, without links. */
export function realPathOf(folder: DirectoryHandle): ByteString {
  return fromBytes(readlinkSync(folder.self, { encoding: 'buffer' }));
}

/** True when a path currently leads to an open directory. */
export function isStillAt(folder: DirectoryHandle, path: ByteString): boolean {
  let now: DirectoryHandle;
  try {
    now = openTrusted(path);
  } catch {
    return false;
  }
  using found = now;
  return isSameFile(found.stat(), folder.stat());
}

interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

export function isSameFile(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/**
 * Opens an existing file for writing: not a link, a device, or a further name of another file. The caller
 * closes it.
 */
export function openOwnFile(folder: DirectoryHandle, name: ByteString): number {
  const { fd, stat } = openForWriting(folder, name);
  if (stat.nlink === 1n) return fd;
  closeQuickly(fd);
  throw replaced(name);
}

function openForWriting(folder: DirectoryHandle, name: ByteString): OpenRegular {
  try {
    return openRegular(folder.fd, name, constants.O_WRONLY);
  } catch (error) {
    throw ['ELOOP', 'ENOTDIR'].includes(errnoOf(error) ?? '') ? replaced(name) : error;
  }
}

function replaced(name: ByteString): AppError {
  return new AppError(
    'conflict',
    `"${toPrintable(name)}" was replaced by another program while it was restored`,
  );
}
