import { lstatSync } from 'node:fs';

/** Which folder it is, whatever name it has now or later; undefined for none. The inode alone is given to the next one. */
export function folderIdentity(path: string | Buffer): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.ino}:${found.birthtimeNs}`;
}
