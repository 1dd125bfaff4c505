import { type ByteString, fromBytes, toPrintable } from '../../model/byte-string.ts';
import type { ExtendedAttribute } from '../../model/entry.ts';
import type { ProblemReporter } from '../tree-problem.ts';
import { aclRecords, parseAcl } from './posix-acl.ts';
import { damaged } from './tar-member.ts';

/** A PAX header's records by keyword. `GNU.sparse.offset` and `.numbytes` repeat: their values are joined by commas. */
export type PaxRecords = Map<string, ByteString>;

const nanosecondsPerSecond = 1_000_000_000n;

/** One record: its own length in decimal digits, a blank, `key=value`, a newline. */
export function paxRecord(key: string, value: ByteString): ByteString {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length++;
  return `${length} ${key}=${value}\n`;
}

/**
 * Adds the records of a PAX header's body to `into`. An empty value is kept: it cancels one of a global
 * header.
 */
export function parsePaxRecords(body: Buffer, into: PaxRecords): void {
  let at = 0;
  while (at < body.length) {
    let index = at;
    let length = 0;
    let byte = body[index] ?? 0;
    while (byte >= 48 && byte <= 57 && index - at < 10) {
      length = length * 10 + (byte - 48);
      byte = body[++index] ?? 0;
    }
    const end = at + length;
    const isSound =
      index > at && byte === 32 && end > index + 1 && end <= body.length && body[end - 1] === 10;
    const equals = isSound ? body.indexOf(61, index + 1) : -1;
    if (equals === -1 || equals >= end) throw damaged('An extended header has a record that cannot be read.');
    addRecord(into, body.toString('latin1', index + 1, equals), body.toString('latin1', equals + 1, end - 1));
    at = end;
  }
}

function addRecord(into: PaxRecords, key: string, value: ByteString): void {
  const repeats = key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes';
  const earlier = repeats ? into.get('GNU.sparse.map') : undefined;
  if (!repeats) into.set(key, value);
  else into.set('GNU.sparse.map', earlier === undefined ? value : `${earlier},${value}`);
}

/** A time in PAX form: decimal seconds, with as many digits as needed. */
export function formatPaxTime(timeNs: bigint): string {
  const magnitude = timeNs < 0n ? -timeNs : timeNs;
  const fraction = magnitude % nanosecondsPerSecond;
  const sign = timeNs < 0n ? '-' : '';
  const seconds = `${sign}${magnitude / nanosecondsPerSecond}`;
  return fraction === 0n ? seconds : `${seconds}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
}

/** Nanoseconds since 1970 of decimal seconds. Throws for anything else. */
export function parsePaxTime(text: string): bigint {
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text);
  if (match === null) throw damaged('An extended header has a time that is not a number.');
  const [, sign, seconds = '0', fraction = ''] = match;
  const magnitude = BigInt(seconds) * nanosecondsPerSecond + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -magnitude : magnitude;
}

export function parsePaxNumber(text: string, what: string): number {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw damaged(`An extended header has a ${what} that is not a number.`);
  return value;
}

const schily = 'SCHILY.xattr.';
const libarchive = 'LIBARCHIVE.xattr.';

/**
 * A member's extended attributes from its records, in the three forms that programs write; sorted by name.
 */
export function memberAttributes(
  records: PaxRecords,
  path: ByteString,
  onProblem: ProblemReporter,
): ExtendedAttribute[] | undefined {
  if (records.size === 0) return undefined;
  const found = new Map<ByteString, Uint8Array>();
  for (const [key, value] of records) {
    if (key.startsWith(schily))
      found.set(decodeGnuName(key.slice(schily.length)), Buffer.from(value, 'latin1'));
    else if (key.startsWith(libarchive)) {
      const name = decodeUrlName(key.slice(libarchive.length));
      if (!found.has(name)) found.set(name, Buffer.from(value, 'base64'));
    }
  }
  for (const { attribute, record } of aclRecords) {
    const text = records.get(record);
    if (text === undefined || text === '' || found.has(attribute)) continue;
    const acl = parseAcl(text);
    if (acl !== undefined) found.set(attribute, acl);
    else onProblem({ path: toPrintable(path), reason: 'unsupported', message: aclMessage(path, text) });
  }
  if (found.size === 0) return undefined;
  const names = [...found.keys()].sort();
  return names.map((name) => ({ name, value: found.get(name) ?? new Uint8Array(0) }));
}

function aclMessage(path: ByteString, text: ByteString): string {
  return `Left out the access control list of "${toPrintable(path)}": it has names and no numbers (${toPrintable(text)})`;
}

function decodeGnuName(name: ByteString): ByteString {
  return name.includes('%') ? name.replace(/%(25|3D)/g, (code) => (code === '%25' ? '%' : '=')) : name;
}

function decodeUrlName(name: ByteString): ByteString {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, code: string) =>
    fromBytes(Uint8Array.of(Number.parseInt(code, 16))),
  );
}
