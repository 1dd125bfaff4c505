/**
 * A string of bytes, one per character (latin1), so that any file name is preserved. ASCII names are the same
 * in both forms. Compare and sort it directly: the order is byte order.
 */
export type ByteString = string;

const highByte = /[\x80-\xff]/;

/** The bytes of ordinary text (UTF-8). */
export function fromText(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Text to show: UTF-8 where valid, and U+FFFD where not. */
export function toText(bytes: ByteString): string {
  return highByte.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** A path for `node:fs`: a string where that is exact, otherwise a Buffer. */
export function toPath(bytes: ByteString): string | Buffer {
  return highByte.test(bytes) ? Buffer.from(bytes, 'latin1') : bytes;
}

export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function toBytes(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/**
 * Text that is safe to print on a terminal: control, reordering and invisible characters are escaped, and so
 * is each byte that is not UTF-8. A backslash is not escaped, so the result cannot be parsed back.
 */
export function toPrintable(bytes: ByteString): string {
  if (!highByte.test(bytes)) return escapeInvisible(bytes);
  const text = toText(bytes);
  return escapeInvisible(text.includes('\ufffd') ? decodeWhatIsValid(bytes) : text);
}

/** Controls, line separators, formatting (bidirectional marks among it), private use, and unassigned characters. */
const invisible = /[\p{C}\p{Zl}\p{Zp}]/gu;

function escapeInvisible(text: string): string {
  return text.replace(invisible, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** UTF-8 sequences of two to four bytes, as RFC 3629 allows them: nothing overlong, no surrogates. */
const validSequence =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g;

function decodeWhatIsValid(bytes: ByteString): string {
  return bytes.replace(validSequence, (sequence) =>
    sequence.length === 1 ? `\\x${sequence.charCodeAt(0).toString(16)}` : toText(sequence),
  );
}

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  return /^[\x00-\x7f]*$/.test(text);
}
