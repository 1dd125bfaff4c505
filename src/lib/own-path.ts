import { lstat, readFile, readlink } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { Stats } from 'node:fs';

const linksAtMost = 40;

/**
 * Says for people why a user other than root and the one of this process can change what is at a path: the file or folder
 * itself, any folder above it, or a link on the way. Undefined when none can. Throws what lstat throws.
 */
export async function whoElseWrites(path: string): Promise<string | undefined> {
  const strangers = await strangerTest();
  let todo = resolve(path).split(sep).filter(Boolean);
  let at: string = sep;
  for (let links = 0; ;) {
    const found = await lstat(at);
    const isLast = todo.length === 0;
    if (found.isSymbolicLink()) {
      if (strangers(found.uid)) return `the link "${at}" belongs to user ${found.uid}`;
      if (++links > linksAtMost) return `"${at}" has too many links`;
      const target = resolve(join(at, '..'), await readlink(at));
      todo = [...target.split(sep).filter(Boolean), ...todo];
      at = sep;
      continue;
    }
    if (strangers(found.uid)) return `"${at}" belongs to user ${found.uid}`;
    if (othersWrite(found, { isLast })) return `other users can write to "${at}"`;
    const [next, ...rest] = todo;
    if (next === undefined) return undefined;
    at = join(at, next);
    todo = rest;
  }
}

/** In a folder like /tmp, one user does not rename what is another's. */
function othersWrite({ mode, uid, gid }: Stats, { isLast }: { readonly isLast: boolean }): boolean {
  const isShared = !isLast && (mode & 0o1000) !== 0;
  if (isShared) return false;
  // A group of the owner alone has the owner's number by custom.
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== uid);
}

/** In a user namespace, owners of the outside are seen as one that no process in it has. */
async function strangerTest(): Promise<(uid: number) => boolean> {
  const own = process.geteuid?.() ?? 0;
  const isWhole = (await readFile('/proc/self/uid_map', 'utf8').catch(() => '')).includes('4294967295');
  return (uid) => uid !== 0 && uid !== own && (isWhole || uid !== 65_534);
}
