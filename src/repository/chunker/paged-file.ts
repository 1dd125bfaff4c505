import { maxChunkBytes } from './chunker.ts';

/**
 * Databases write whole pages in place. With content-defined chunks of a MiB, one changed page costs a MiB;
 * with small chunks on page borders it costs what has changed. Files are recognized by content, not by name.
 */

/** The chunk size in files of pages: a multiple of every page size below. */
export const pagedChunkBytes = 32 * 1024;

/** All ids of a file are in one tree, which must fit in memory, and cannot be read above half a gigabyte. */
const maxChunks = 2 ** 20;

/** How much of a file's beginning is needed to recognize it. */
export const headBytes = 64 * 1024;

/** The chunk size for a file that begins with `head`; undefined for a file that is cut by content. */
export function chunkBytesOf(head: Buffer, fileBytes: number): number | undefined {
  if (fileBytes < 2 * headBytes || head.length < headBytes) return undefined;
  const isPaged = isSqlite(head) || isPostgres(head, fileBytes) || isInnoDb(head, fileBytes) || isLmdb(head);
  return isPaged ? pagedChunkBytesFor(fileBytes) : undefined;
}

/** Doubles for each doubling above 32 GiB, up to the largest possible chunk. */
function pagedChunkBytesFor(fileBytes: number): number {
  const doublings = Math.ceil(Math.log2(fileBytes / (maxChunks * pagedChunkBytes)));
  return Math.min(maxChunkBytes, pagedChunkBytes * 2 ** Math.max(0, doublings));
}

/** Source: sqlite.org/fileformat.html, "The Database Header". */
function isSqlite(head: Buffer): boolean {
  if (head.toString('latin1', 0, 16) !== 'SQLite format 3\0') return false;
  const pageBytes = head.readUInt16BE(16);
  return pageBytes === 1 || (pageBytes >= 512 && (pageBytes & (pageBytes - 1)) === 0);
}

const postgresPageBytes = 8192;

/**
 * A segment of a PostgreSQL relation with the default page size: every page in the head is empty or has a
 * valid PageHeaderData, layout version 4. Source: postgresql.org/docs, "Database Page Layout".
 */
function isPostgres(head: Buffer, fileBytes: number): boolean {
  if (fileBytes % postgresPageBytes !== 0) return false;
  let used = 0;
  for (let at = 0; at + postgresPageBytes <= head.length; at += postgresPageBytes) {
    const lower = head.readUInt16LE(at + 12);
    const upper = head.readUInt16LE(at + 14);
    const special = head.readUInt16LE(at + 16);
    const sizeAndVersion = head.readUInt16LE(at + 18);
    if (lower === 0 && upper === 0 && sizeAndVersion === 0) continue;
    const isSound = lower >= 24 && lower <= upper && upper <= special && special <= postgresPageBytes;
    if (!isSound || sizeAndVersion !== (postgresPageBytes | 4)) return false;
    used++;
  }
  return used > 0;
}

const innoDbPageSizes = [4096, 8192, 16384, 32768];

/**
 * An InnoDB tablespace: each page begins with its checksum and its own number, and the first is a file space header
 * (type 8). Source: the MySQL internals manual, "Fil Header".
 */
function isInnoDb(head: Buffer, fileBytes: number): boolean {
  const firstType = head.readUInt16BE(24);
  if (head.readUInt32BE(4) !== 0 || (firstType !== 8 && firstType !== 5)) return false;
  return innoDbPageSizes.some((pageBytes) => {
    if (fileBytes % pageBytes !== 0 || head.length < 2 * pageBytes) return false;
    for (let page = 1; (page + 1) * pageBytes <= head.length; page++) {
      const number = head.readUInt32BE(page * pageBytes + 4);
      const isEmpty = number === 0 && head.readUInt32BE(page * pageBytes) === 0;
      if (number !== page && !isEmpty) return false;
    }
    return head.readUInt32BE(pageBytes + 4) === 1;
  });
}

/** Source: LMDB's mdb.c, MDB_meta: a page header of 16 bytes, the magic number, the version. */
function isLmdb(head: Buffer): boolean {
  return head.readUInt32LE(16) === 0xbe_ef_c0_de && head.readUInt32LE(20) <= 2;
}
