import type { ByteString } from '../model/byte-string.ts';

/** The order of a depth-first walk: a folder, then its entries, then the next name. */
export function comparePaths(a: ByteString, b: ByteString): number {
  if (a === b) return 0;
  return a.replaceAll('/', '\0') < b.replaceAll('/', '\0') ? -1 : 1;
}
