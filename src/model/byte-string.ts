/**
 * A string that holds bytes, one per character (latin1), so that file names of any bytes survive.
 * Ordinary ASCII names are the same in both forms. Compare and sort it as it is: the order is byte order.
 */
export type ByteString = string;

const highByte = /[\x80-\xff]/;

/** The bytes of ordinary text (UTF-8). */
export function fromText(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Text for people: UTF-8 where it is valid, and U+FFFD where it is not. */
export function toText(bytes: ByteString): string {
  return highByte.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** A path as `node:fs` takes it: a string where that is exact, else a Buffer. */
export function toPath(bytes: ByteString): string | Buffer {
  return highByte.test(bytes) ? Buffer.from(bytes, 'latin1') : bytes;
}

export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function toBytes(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** `toText` with control characters, newlines and broken UTF-8 shown as escapes: safe to print on a terminal. */
export function toPrintable(bytes: ByteString): string {
  const text = toText(bytes);
  // oxlint-disable-next-line no-control-regex -- control characters are what this function is about
  if (!/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd]/.test(text)) return text;
  if (!text.includes('\ufffd')) return escapeControls(text);
  return escapeControls(text.includes('\ufffd') ? escapeBroken(bytes) : text);
}

function escapeControls(text: string): string {
  return text.replace(
    // oxlint-disable-next-line no-control-regex -- as above
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function escapeBroken(bytes: ByteString): string {
  return bytes.replace(highByteGlobal, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}

const highByteGlobal = /[\x80-\xff]/g;

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  return /^[\x00-\x7f]*$/.test(text);
}
