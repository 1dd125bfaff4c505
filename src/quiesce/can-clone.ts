import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { cloneFile } from '../lib/ioctl.ts';
import { withoutName } from '../lib/nameless-file.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';

/** True where a directory's file system clones files instantly (btrfs, XFS). Tried with two unnamed files. */
export function canClone(directory: ByteString): boolean {
  const fds: number[] = [];
  try {
    for (let i = 0; i < 2; i++) fds.push(openSync(toPath(directory), withoutName | constants.O_RDWR, 0o600));
    const [from, to] = fds;
    if (from === undefined || to === undefined) return false;
    writeSync(from, Buffer.alloc(4096, 1));
    return cloneFile(to, from);
  } catch {
    // Read-only, full, or without unnamed files: taken for unable.
    return false;
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}
