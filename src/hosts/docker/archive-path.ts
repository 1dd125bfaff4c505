import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';

/** Throws `usage` unless `path` is clean and relative, so that it stays within the volume. */
export function checkArchivePath(path: ByteString): void {
  if (path === '') return;
  const isClean =
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !path.includes('\0');
  if (!isClean)
    throw new AppError('usage', `Cannot use "${toPrintable(path)}": it is not a path within the volume`);
}

/** The bytes of a path as a query value. */
export function encodeArchivePath(path: ByteString): string {
  return path.replace(
    /[^A-Za-z0-9/_.-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  );
}

/** The engine's description of a path, without the name: JSON breaks names that are not UTF-8. */
export interface ArchiveStat {
  readonly type: 'dir' | 'symlink' | 'other';
  readonly mtimeNs: bigint;
}

// Bits of Go's own file mode, which the engine sends.
const goDirectory = 2 ** 31;
const goSymlink = 2 ** 27;

/** Parses the engine's header for a path: JSON in base64. */
export function parseArchiveStat(header: string | undefined): ArchiveStat {
  const value = JSON.parse(Buffer.from(header ?? '', 'base64').toString('utf8')) as {
    readonly mode: number;
    readonly mtime: string;
  };
  const has = (bit: number): boolean => Math.floor(value.mode / bit) % 2 === 1;
  return {
    type: has(goDirectory) ? 'dir' : has(goSymlink) ? 'symlink' : 'other',
    mtimeNs: parseGoTime(value.mtime),
  };
}

/** RFC 3339 with up to nine decimals, in any zone. */
function parseGoTime(text: string): bigint {
  const match = /^(.*?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  const milliseconds = Date.parse(`${match?.[1] ?? ''}${match?.[3] ?? ''}`);
  if (Number.isNaN(milliseconds))
    throw new AppError('unavailable', `The engine names a time that cannot be read: "${text}"`);
  return BigInt(milliseconds) * 1_000_000n + BigInt((match?.[2] ?? '').padEnd(9, '0'));
}
