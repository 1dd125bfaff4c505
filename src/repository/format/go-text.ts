import { isUtf8 as validUtf8 } from 'node:buffer';
import type { ByteString } from '../../model/byte-string.ts';

/**
 * How Go writes strings, which the format inherits: names go through `strconv.Quote`, and everything through
 * `encoding/json`. Both work on bytes here, so that a tree is written byte for byte as restic writes it.
 */

/* oxlint-disable no-control-regex -- control characters are what these patterns are about */
const plainName = /^[ !#-[\]-~]*$/;
const plainJson = /^[ !#-%'-;=?-[\]-\x7f]*$/;
const jsonEscaped = /["\\<>&\x00-\x1f]|\xe2\x80[\xa8\xa9]/g;
const beyondBytes = /[^\x00-\xff]+/gu;
/* oxlint-enable no-control-regex */

/** `strconv.Quote` without the quotes. */
export function quoteName(name: ByteString): ByteString {
  if (plainName.test(name)) return name;
  let quoted = '';
  for (let at = 0; at < name.length;) {
    const { length, codePoint } = decodeAt(name, at);
    const bytes = name.slice(at, at + length);
    quoted +=
      codePoint === undefined ? `\\x${hex(bytes.charCodeAt(0), 2)}` : quoteCodePoint(codePoint, bytes);
    at += length;
  }
  return quoted;
}

const shortEscapes: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

function quoteCodePoint(codePoint: number, bytes: ByteString): ByteString {
  const short = shortEscapes[codePoint];
  if (short !== undefined) return short;
  if (isPrintable(codePoint)) return bytes;
  if (codePoint < 0x80) return `\\x${hex(codePoint, 2)}`;
  return codePoint < 0x10000 ? `\\u${hex(codePoint, 4)}` : `\\U${hex(codePoint, 8)}`;
}

function isPrintable(codePoint: number): boolean {
  if (codePoint < 0x7f) return codePoint >= 0x20;
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(String.fromCodePoint(codePoint));
}

/** The code point at a place in UTF-8 bytes; undefined with length 1 for a byte that is not part of valid UTF-8. */
function decodeAt(bytes: ByteString, at: number): { length: number; codePoint: number | undefined } {
  const first = bytes.charCodeAt(at);
  if (first < 0x80) return { length: 1, codePoint: first };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const text = Buffer.from(bytes.slice(at, at + length), 'latin1').toString('utf8');
  const codePoint = text.codePointAt(0);
  const whole = codePoint !== undefined && text.length === (codePoint > 0xffff ? 2 : 1);
  // A real U+FFFD in the name is the bytes ef bf bd; any other source of it is broken UTF-8.
  const broken = !whole || (codePoint === 0xfffd && bytes.slice(at, at + 3) !== '\xef\xbf\xbd');
  return broken ? { length: 1, codePoint: undefined } : { length, codePoint };
}

const unquotes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  '"': '"',
  "'": "'",
  '\\': '\\',
};

/** The inverse of `quoteName`. Undefined when the text is not a quoted name. */
export function unquoteName(quoted: ByteString): ByteString | undefined {
  if (!quoted.includes('\\')) return quoted;
  let valid = true;
  const name = quoted.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]?))/g,
    (_, byte?: string, short?: string, long?: string, octal?: string, single?: string) => {
      if (byte !== undefined) return String.fromCharCode(Number.parseInt(byte, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      const codePoint = short ?? long;
      if (codePoint !== undefined) return utf8OfCodePoint(Number.parseInt(codePoint, 16));
      const plain = unquotes[single ?? ''];
      if (plain === undefined) valid = false;
      return plain ?? '';
    },
  );
  return valid ? name : undefined;
}

function utf8OfCodePoint(codePoint: number): ByteString {
  return codePoint > 0x10ffff
    ? '\xef\xbf\xbd'
    : Buffer.from(String.fromCodePoint(codePoint)).toString('latin1');
}

/** A JSON string as `encoding/json` writes it, with its quotes. The bytes must be valid UTF-8. */
export function jsonString(bytes: ByteString): ByteString {
  return `"${plainJson.test(bytes) ? bytes : bytes.replace(jsonEscaped, escapeForJson)}"`;
}

/**
 * The same for bytes that are not valid UTF-8: each invalid byte is lost, and written as an escaped U+FFFD.
 */
export function lossyJsonString(bytes: ByteString): ByteString {
  let json = '';
  let start = 0;
  for (let at = 0; at < bytes.length;) {
    const { length, codePoint } = decodeAt(bytes, at);
    if (codePoint === undefined) {
      json += `${jsonString(bytes.slice(start, at)).slice(1, -1)}\\ufffd`;
      start = at + 1;
    }
    at += length;
  }
  return `"${json}${jsonString(bytes.slice(start)).slice(1, -1)}"`;
}

function escapeForJson(match: string): string {
  switch (match) {
    case '"':
      return '\\"';
    case '\\':
      return '\\\\';
    case '\b':
      return '\\b';
    case '\f':
      return '\\f';
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
    case '\xe2\x80\xa8':
      return '\\u2028';
    case '\xe2\x80\xa9':
      return '\\u2029';
    default:
      return `\\u${hex(match.charCodeAt(0), 4)}`;
  }
}

/**
 * The bytes of a string that `JSON.parse` returned for latin1-decoded JSON: an escape like `\u2028` gave a
 * character, not bytes.
 */
export function bytesOfParsed(parsed: string): ByteString {
  // oxlint-disable-next-line no-control-regex -- everything that is one byte
  const isBytes = /^[\x00-\xff]*$/.test(parsed);
  return isBytes ? parsed : parsed.replace(beyondBytes, (run) => Buffer.from(run, 'utf8').toString('latin1'));
}

/** True when the bytes are valid UTF-8. */
export function isUtf8(bytes: ByteString): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  return /^[\x00-\x7f]*$/.test(bytes) || validUtf8(Buffer.from(bytes, 'latin1'));
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
