import type { ByteString } from '../../model/byte-string.ts';
import { blockSize, damaged } from './tar-member.ts';

/** The 512 bytes before each member, undecoded by format. */
export interface HeaderBlock {
  /** Joined with the ustar prefix. */
  readonly name: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Whole seconds. */
  readonly mtime: number;
  /** The type flag as a character; NUL is '0'. */
  readonly type: string;
  readonly linkName: ByteString;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

const magicAt = 257;
const checksumAt = 148;
const prefixAt = 345;

/**
 * Writes a ustar header. `name` is already split to fit; longer texts are truncated, as a PAX record then
 * holds them.
 */
export function writeHeaderBlock(
  target: Buffer,
  offset: number,
  header: HeaderBlock & { readonly prefix: ByteString },
): void {
  target.fill(0, offset, offset + blockSize);
  target.write(header.name, offset, 100, 'latin1');
  writeNumber(target, offset + 100, 8, header.mode);
  writeNumber(target, offset + 108, 8, header.uid);
  writeNumber(target, offset + 116, 8, header.gid);
  writeNumber(target, offset + 124, 12, header.size);
  writeNumber(target, offset + 136, 12, header.mtime);
  target[offset + 156] = header.type.charCodeAt(0);
  target.write(header.linkName, offset + 157, 100, 'latin1');
  target.write('ustar\x0000', offset + magicAt, 8, 'latin1');
  writeNumber(target, offset + 329, 8, header.deviceMajor);
  writeNumber(target, offset + 337, 8, header.deviceMinor);
  target.write(header.prefix, offset + prefixAt, 155, 'latin1');
  writeNumber(target, offset + checksumAt, 7, checksums(target, offset).unsigned);
  target[offset + checksumAt + 7] = 32;
}

/** Reads a header of any of tar's formats. Throws `integrity` when its checksum or a number is wrong. */
export function readHeaderBlock(block: Buffer): HeaderBlock {
  const expected = readNumber(block, checksumAt, 8);
  const actual = checksums(block, 0);
  if (expected !== actual.unsigned && expected !== actual.signed)
    throw damaged('A header has a wrong checksum.');
  const type = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
  const isDevice = type === '3' || type === '4';
  return {
    name: readName(block),
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: number(block, 108, 8, 'owner'),
    gid: number(block, 116, 8, 'group'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'time'),
    type,
    linkName: readText(block, 157, 100),
    deviceMajor: isDevice ? number(block, 329, 8, 'device number') : 0,
    deviceMinor: isDevice ? number(block, 337, 8, 'device number') : 0,
  };
}

/** True for a block of zeros, which ends an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let index = 0; index < block.length; index++) if (block[index] !== 0) return false;
  return true;
}

/** Only POSIX headers have a prefix; GNU uses that place for other fields, and star has a shorter one. */
function readName(block: Buffer): ByteString {
  const name = readText(block, 0, 100);
  if (block[prefixAt] === 0 || block.toString('latin1', magicAt, magicAt + 6) !== 'ustar\0') return name;
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = readText(block, prefixAt, isStar ? 131 : 155);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function readText(block: Buffer, offset: number, length: number): ByteString {
  const limit = offset + length;
  let end = offset;
  while (end < limit && block[end] !== 0) end++;
  return end === offset ? '' : block.toString('latin1', offset, end);
}

function number(block: Buffer, offset: number, length: number, what: string): number {
  const value = readNumber(block, offset, length);
  if (Number.isNaN(value)) throw damaged(`A header has a ${what} that is not a number.`);
  return value;
}

/** The sum of all bytes, the checksum's own field counted as blanks; some old programs summed signed bytes. */
function checksums(
  block: Uint8Array,
  offset: number,
): { readonly unsigned: number; readonly signed: number } {
  let unsigned = 0;
  let high = 0;
  for (let index = offset; index < offset + blockSize; index++) {
    const byte = block[index] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  for (let index = offset + checksumAt; index < offset + checksumAt + 8; index++) {
    const byte = block[index] ?? 0;
    unsigned -= byte;
    high -= byte >> 7;
  }
  unsigned += 8 * 32;
  return { unsigned, signed: unsigned - high * 256 };
}

/**
 * Writes a number as octal digits with a closing NUL, or in GNU's base 256 when it does not fit. `value` is a
 * safe integer.
 */
function writeNumber(target: Buffer, offset: number, length: number, value: number): void {
  if (value < 0 || value >= 8 ** (length - 1)) return writeBase256(target, offset, length, value);
  let rest = value;
  target[offset + length - 1] = 0;
  for (let index = offset + length - 2; index >= offset; index--) {
    const next = Math.floor(rest / 8);
    target[index] = 48 + (rest - next * 8);
    rest = next;
  }
}

/**
 * Reads octal digits (surrounding blanks allowed, none is 0) or base 256. NaN for anything else, or an unsafe
 * integer.
 */
export function readNumber(block: Uint8Array, offset: number, length: number): number {
  if ((block[offset] ?? 0) & 0x80) return readBase256(block, offset, length);
  const end = offset + length;
  let index = offset;
  while (index < end && (block[index] === 32 || block[index] === 0)) index++;
  let value = 0;
  for (; index < end; index++) {
    const byte = block[index] ?? 0;
    if (byte === 0 || byte === 32) break;
    if (byte < 48 || byte > 55) return Number.NaN;
    value = value * 8 + (byte - 48);
  }
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

function writeBase256(target: Buffer, offset: number, length: number, value: number): void {
  let rest = BigInt(value);
  for (let index = offset + length - 1; index > offset; index--) {
    target[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  target[offset] = value < 0 ? 0xff : 0x80;
}

function readBase256(block: Uint8Array, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = BigInt(first & 0x3f) - (negative ? 64n : 0n);
  for (let index = offset + 1; index < offset + length; index++)
    value = (value << 8n) | BigInt(block[index] ?? 0);
  const result = Number(value);
  return Number.isSafeInteger(result) ? result : Number.NaN;
}
