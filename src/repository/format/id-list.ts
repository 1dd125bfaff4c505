import type { ByteString } from '../../model/byte-string.ts';

/**
 * Ids of blobs, concatenated as bytes: a database of 20 GB has 650,000, and as text they take twice the
 * space.
 */
export type IdList = Uint8Array;

const idBytes = 32;
/** In the JSON of a node: the digits, the quotes and a comma. */
const charsPerId = 2 * idBytes + 3;

export function idListOf(ids: readonly string[]): IdList {
  const list = Buffer.allocUnsafeSlow(ids.length * idBytes);
  ids.forEach((id, i) => list.write(id, i * idBytes, 'hex'));
  return list;
}

export function countIds(list: IdList): number {
  return list.length / idBytes;
}

/** Like `subarray`, counted in ids; indexes must not be negative. */
export function sliceIds(list: IdList, from: number, to: number): IdList {
  return list.subarray(from * idBytes, to * idBytes);
}

/** The inner part of a JSON array of ids, `"…","…"`, as a list; undefined for anything else. */
export function parseIds(json: ByteString): IdList | undefined {
  const count = json === '' ? 0 : (json.length + 1) / charsPerId;
  if (!Number.isInteger(count)) return undefined;
  const list = Buffer.allocUnsafeSlow(count * idBytes);
  for (let i = 0; i < count; i++) {
    const digits = json.slice(i * charsPerId + 1, (i + 1) * charsPerId - 2);
    if (list.write(digits, i * idBytes, 'hex') !== idBytes) return undefined;
  }
  return list;
}

/** The length of the lists as JSON, without the brackets. */
export function jsonLengthOf(lists: readonly IdList[]): number {
  const ids = lists.reduce((sum, list) => sum + countIds(list), 0);
  return Math.max(0, ids * charsPerId - 1);
}

/** Writes the lists as JSON, without the brackets; there must be room. Returns the end offset. */
export function writeIds(lists: readonly IdList[], target: Buffer, start: number): number {
  let at = start;
  for (const list of lists) {
    const digits = Buffer.from(list.buffer, list.byteOffset, list.length).toString('hex');
    for (let from = 0; from < digits.length; from += 2 * idBytes) {
      if (at > start) target[at++] = comma;
      target[at] = quote;
      at += 1 + target.write(digits.slice(from, from + 2 * idBytes), at + 1, 'latin1');
      target[at++] = quote;
    }
  }
  return at;
}

const comma = 0x2c;
const quote = 0x22;
