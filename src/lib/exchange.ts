import koffi from 'koffi';
import { type ByteString, toBytes } from '../model/byte-string.ts';
import { errnoOf } from '../model/errors.ts';

const renameat2 = koffi
  .load(null)
  .func('int renameat2(int olddirfd, const void *a, int newdirfd, const void *b, unsigned int flags)');

const fromCurrentFolder = -100;
const noReplaceFlag = 1;
const exchangeFlag = 2;
const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

/**
 * Swaps two paths atomically: neither is ever missing. Both must exist, on one file system. Throws an Error
 * with `code`, like `node:fs`; `EINVAL` or `ENOSYS` where the file system cannot.
 */
export function exchange(first: ByteString, second: ByteString): void {
  rename(first, second, exchangeFlag);
}

/**
 * Renames to a free name. Throws an Error with `code`: `EEXIST` when the name is taken, otherwise as
 * `exchange()`.
 */
export function renameToNew(from: ByteString, to: ByteString): void {
  rename(from, to, noReplaceFlag);
}

function rename(first: ByteString, second: ByteString, flags: number): void {
  const result = renameat2(
    fromCurrentFolder,
    toBytes(`${first}\0`),
    fromCurrentFolder,
    toBytes(`${second}\0`),
    flags,
  );
  if (result === 0) return;
  const code = errnoNames.get(koffi.errno()) ?? `E${koffi.errno()}`;
  throw Object.assign(new Error(`${code}: renameat2 '${first}' '${second}'`), {
    code,
    syscall: 'renameat2',
    path: first,
  });
}

/** False, with no effect, where the two cannot be swapped, as on two file systems. */
export function tryExchange(first: ByteString, second: ByteString): boolean {
  try {
    exchange(first, second);
    return true;
  } catch (error) {
    if (['EXDEV', 'EINVAL', 'ENOSYS'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
