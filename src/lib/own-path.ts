import { lstat, readFile, readlink } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { Stats } from 'node:fs';
import { AppError } from '../model/errors.ts';

const linksAtMost = 40;

/**
 * Explains how a user other than root and this process's can change what is at a path: the file or folder
 * itself, any parent folder, or a link on the way. Undefined when none can. Throws what lstat throws.
 */
export async function whoElseWrites(path: string): Promise<string | undefined> {
  return (await findStranger(path))?.reason;
}

interface Stranger {
  readonly reason: string;
  /** How to prevent it, with a command where there is one. */
  readonly remedy: string;
}

async function findStranger(path: string): Promise<Stranger | undefined> {
  const strangers = await strangerTest();
  let todo = resolve(path).split(sep).filter(Boolean);
  let at: string = sep;
  for (let links = 0; ;) {
    const found = await lstat(at);
    const isLast = todo.length === 0;
    if (found.isSymbolicLink()) {
      if (strangers(found.uid))
        return {
          reason: `the link "${at}" belongs to user ${found.uid}`,
          remedy: `chown -h ${ownName()} "${at}"`,
        };
      if (++links > linksAtMost)
        return { reason: `"${at}" has too many links`, remedy: 'use a path without links' };
      const target = resolve(join(at, '..'), await readlink(at));
      todo = [...target.split(sep).filter(Boolean), ...todo];
      at = sep;
      continue;
    }
    if (strangers(found.uid))
      return { reason: `"${at}" belongs to user ${found.uid}`, remedy: `chown ${ownName()} "${at}"` };
    if (othersWrite(found, { isLast }))
      return { reason: `other users can write to "${at}"`, remedy: `chmod go-w "${at}"` };
    const [next, ...rest] = todo;
    if (next === undefined) return undefined;
    at = join(at, next);
    todo = rest;
  }
}

/** Throws `denied` for a path that another user can change. `orElse` is an alternative to preventing that. */
export async function requireOwn(path: string, action: string, orElse?: string): Promise<void> {
  const stranger = await findStranger(path);
  if (stranger === undefined) return;
  const { reason, remedy } = stranger;
  throw new AppError('denied', `${action}: ${reason}`, {
    hint: `Keep other users from it: ${remedy}${orElse === undefined ? '' : `. Or ${orElse}`}`,
  });
}

/** The required owner, in chown's form. */
function ownName(): string {
  const uid = process.geteuid?.() ?? 0;
  return uid === 0 ? 'root' : String(uid);
}

/** In a folder like /tmp, one user cannot rename another's files. */
function othersWrite({ mode, uid, gid }: Stats, { isLast }: { readonly isLast: boolean }): boolean {
  const isShared = !isLast && (mode & 0o1000) !== 0;
  if (isShared) return false;
  // By convention, a user's private group has the user's number.
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== uid);
}

/** In a user namespace, all outside owners appear as one that no process in it has. */
async function strangerTest(): Promise<(uid: number) => boolean> {
  const own = process.geteuid?.() ?? 0;
  const isWhole = (await readFile('/proc/self/uid_map', 'utf8').catch(() => '')).includes('4294967295');
  return (uid) => uid !== 0 && uid !== own && (isWhole || uid !== 65_534);
}
