import { statfsSync } from 'node:fs';
import { type ByteString, toPath } from '../model/byte-string.ts';

/** ext4, XFS, btrfs, F2FS. */
const timely = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010]);

/** True where the first write to a page that is clean changes the file's times at once, even through a memory map. */
export function isTimely(directory: ByteString): boolean {
  return timely.has(statfsSync(toPath(directory)).type);
}
