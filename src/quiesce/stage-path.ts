import { randomBytes } from 'node:crypto';
import type { ByteString } from '../model/byte-string.ts';

/** The prefix of the folders in which restores make things ready; never saved, never shown. */
const prefix = '.holdfast-restore-';

/** A name that nobody has used. */
export function newStageName(): string {
  return `${prefix}${randomBytes(8).toString('hex')}`;
}

/** True for such a folder at the top of a volume, and for what is below. */
export function isStagePath(path: ByteString): boolean {
  return path.startsWith(prefix) && /^\.holdfast-restore-[0-9a-f]{16}(\/|$)/.test(path);
}
