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
 * Swaps two paths in one step: there is no moment at which either is missing. Both must exist, on one file system.
 * Throws an Error with `code`, like `node:fs`; `EINVAL` or `ENOSYS` where the file system can't do it.
 */
export function exchange(first: ByteString, second: ByteString): void {
  rename(first, second, exchangeFlag);
}

/** Gives something a name that nothing has. Throws an Error with `code`: `EEXIST` where something has it, else as `exchange()`. */
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

/** False where the two cannot change places, as on two file systems: nothing has happened then. */
export function tryExchange(first: ByteString, second: ByteString): boolean {
  try {
    exchange(first, second);
    return true;
  } catch (error) {
    if (['EXDEV', 'EINVAL', 'ENOSYS'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
