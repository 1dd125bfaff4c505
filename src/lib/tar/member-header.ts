import { isUtf8 } from 'node:buffer';
import { type ByteString, toBytes, toPrintable } from '../../model/byte-string.ts';
import type { DataRun, Entry, EntryType, ExtendedAttribute } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { writeHeaderBlock } from './header-block.ts';
import { formatPaxTime, paxRecord } from './pax-records.ts';
import { aclRecords, formatAcl } from './posix-acl.ts';
import { blockSize, damaged, maxMetadataBytes, paddingOf } from './tar-member.ts';

const typeFlags: Readonly<Record<Exclude<EntryType, 'socket'>, string>> = {
  file: '0',
  symlink: '2',
  chardev: '3',
  blockdev: '4',
  dir: '5',
  fifo: '6',
};

/** How a member's data lies in the archive. */
export interface MemberLayout {
  /** Bytes that follow the header, including a sparse file's map. */
  readonly storedBytes: number;
  /** Whole blocks, for sparse files. */
  readonly alignedRuns?: readonly DataRun[] | undefined;
}

/** Everything before a member's data: a PAX header where one is needed, and the ustar header. */
export function memberHeader(entry: Entry, layout: MemberLayout): Buffer {
  const names = memberNames(entry, layout);
  const records = names.records + metadataRecords(entry, layout);
  const paxBytes = records === '' ? 0 : blockSize + records.length + paddingOf(records.length);
  const buffer = Buffer.allocUnsafe(paxBytes + blockSize);
  if (paxBytes > 0) writePaxHeader(buffer, names.name, records);
  const seconds = Number(entry.mtimeNs / 1_000_000_000n);
  writeHeaderBlock(buffer, paxBytes, {
    name: names.name,
    prefix: names.prefix,
    mode: entry.mode,
    uid: fitting(entry.uid, 7),
    gid: fitting(entry.gid, 7),
    size: fitting(layout.storedBytes, 11),
    mtime: fitting(seconds, 11),
    type: typeFlag(entry),
    linkName: linkTarget(entry),
    deviceMajor: entry.deviceMajor ?? 0,
    deviceMinor: entry.deviceMinor ?? 0,
  });
  return buffer;
}

function typeFlag(entry: Entry): string {
  if (entry.hardLinkTo !== undefined) return '1';
  if (entry.type === 'socket') throw new TypeError('A socket has no place in a tar archive.');
  return typeFlags[entry.type];
}

function linkTarget(entry: Entry): ByteString {
  return entry.hardLinkTo ?? (entry.type === 'symlink' ? (entry.linkTarget ?? '') : '');
}

/** A number too large for octal digits goes into a record, and the header has 0. */
function fitting(value: number, digits: number): number {
  return value >= 0 && value < 8 ** digits ? value : 0;
}

function memberNames(
  entry: Entry,
  layout: MemberLayout,
): { name: ByteString; prefix: ByteString; records: ByteString } {
  const isDirectory = entry.type === 'dir' && entry.hardLinkTo === undefined;
  const full = entry.path === '' ? './' : isDirectory ? `${entry.path}/` : entry.path;
  const link = linkTarget(entry);
  const fields = splitMemberName(full);
  const linkRecord = needsRecord(link, link.length <= 100) ? paxRecord('linkpath', link) : '';
  if (layout.alignedRuns !== undefined) {
    const records = paxRecord('GNU.sparse.name', full) + linkRecord;
    const shortName = `GNUSparseFile.0/${full.slice(full.lastIndexOf('/') + 1)}`.slice(0, 100);
    return { name: shortName, prefix: '', records: charsetRecord([full]) + records };
  }
  const nameRecord = needsRecord(full, fields !== undefined) ? paxRecord('path', full) : '';
  const inRecords = [nameRecord === '' ? '' : full, linkRecord === '' ? '' : link];
  const { name, prefix } = fields ?? { name: full.slice(0, 100), prefix: '' };
  return { name, prefix, records: charsetRecord(inRecords) + nameRecord + linkRecord };
}

/**
 * Beyond ASCII, UTF-8 is exact only in a record; bytes that are not UTF-8 are exact in the header, where they
 * fit.
 */
function needsRecord(name: ByteString, fits: boolean): boolean {
  return !fits || (isBeyondAscii(name) && isUtf8(toBytes(name)));
}

function charsetRecord(names: readonly ByteString[]): ByteString {
  const isBinary = names.some((name) => isBeyondAscii(name) && !isUtf8(toBytes(name)));
  return isBinary ? paxRecord('hdrcharset', 'BINARY') : '';
}

function isBeyondAscii(name: ByteString): boolean {
  return /[\x80-\xff]/.test(name);
}

function metadataRecords(entry: Entry, layout: MemberLayout): ByteString {
  let records = '';
  const isWholeSecond = entry.mtimeNs % 1_000_000_000n === 0n;
  if (!isWholeSecond || entry.mtimeNs < 0n || entry.mtimeNs / 1_000_000_000n >= 8n ** 11n) {
    records += paxRecord('mtime', formatPaxTime(entry.mtimeNs));
  }
  if (fitting(entry.uid, 7) !== entry.uid) records += paxRecord('uid', String(entry.uid));
  if (fitting(entry.gid, 7) !== entry.gid) records += paxRecord('gid', String(entry.gid));
  if (fitting(layout.storedBytes, 11) !== layout.storedBytes)
    records += paxRecord('size', String(layout.storedBytes));
  if (layout.alignedRuns !== undefined) {
    records += paxRecord('GNU.sparse.major', '1') + paxRecord('GNU.sparse.minor', '0');
    records += paxRecord('GNU.sparse.realsize', String(entry.size));
  }
  if (entry.hardLinkTo === undefined)
    for (const attribute of entry.xattrs ?? []) records += attributeRecords(attribute);
  return records;
}

/** GNU tar's escapes in attribute names: `=` ends a keyword, so it is written `%3D`, and `%` as `%25`. */
function attributeRecords(attribute: ExtendedAttribute): ByteString {
  const value = Buffer.from(
    attribute.value.buffer,
    attribute.value.byteOffset,
    attribute.value.byteLength,
  ).toString('latin1');
  const name = attribute.name.replaceAll('%', '%25').replaceAll('=', '%3D');
  const acl = aclRecords.find((one) => one.attribute === attribute.name);
  const text = acl === undefined ? undefined : formatAcl(attribute.value);
  const aclRecord = acl === undefined || text === undefined ? '' : paxRecord(acl.record, text);
  return paxRecord(`SCHILY.xattr.${name}`, value) + aclRecord;
}

/** True when an entry's attributes exceed what a reader accepts in one header. */
export function hasOversizedAttributes(entry: Entry): boolean {
  let bytes = 64 * 1024;
  for (const { name, value } of entry.xattrs ?? []) bytes += 3 * name.length + value.length + 32;
  return bytes > maxMetadataBytes;
}

function writePaxHeader(buffer: Buffer, name: ByteString, records: ByteString): void {
  const base = name.replace(/\/$/, '');
  writeHeaderBlock(buffer, 0, {
    name: `PaxHeaders/${base.slice(base.lastIndexOf('/') + 1)}`.slice(0, 100),
    prefix: '',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: records.length,
    mtime: 0,
    type: 'x',
    linkName: '',
    deviceMajor: 0,
    deviceMinor: 0,
  });
  const end = blockSize + records.length;
  buffer.write(records, blockSize, 'latin1');
  buffer.fill(0, end, end + paddingOf(records.length));
}

const needsCare = /^\/|^\.?$|(^|\/)\.{0,2}(\/|$)|\0/;

/**
 * A member's name as an entry's path: relative, without `.` parts, double or trailing slashes; the root is
 * ''. A name with `..` or a NUL is refused: it is an attack or damage.
 */
export function memberPath(name: ByteString): ByteString {
  if (!needsCare.test(name)) return name;
  if (name.includes('\0')) throw damaged('A name holds a NUL byte.');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    throw new AppError(
      'integrity',
      `Cannot take "${toPrintable(name)}" from the tar archive: its name leads out of it`,
      {
        hint: 'Make the archive again without ".." in its names.',
      },
    );
  }
  return parts.join('/');
}

/** The two fields of a ustar header for a name; undefined when it does not fit. */
function splitMemberName(
  name: ByteString,
): { readonly name: ByteString; readonly prefix: ByteString } | undefined {
  if (name.length <= 100) return { name, prefix: '' };
  if (name.length > 256) return undefined;
  const slash = name.indexOf('/', name.length - 101);
  if (slash <= 0 || slash > 155 || slash === name.length - 1) return undefined;
  return { name: name.slice(slash + 1), prefix: name.slice(0, slash) };
}
