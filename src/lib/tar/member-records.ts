import { fromBytes, toPrintable, type ByteString } from '../../model/byte-string.ts';
import type { ExtendedAttribute } from '../../model/entry.ts';
import type { ProblemReporter } from '../tree-problem.ts';
import type { PaxRecords } from './pax-records.ts';
import { aclRecords, parseAcl } from './posix-acl.ts';

const schily = 'SCHILY.xattr.';
const libarchive = 'LIBARCHIVE.xattr.';

/** A member's extended attributes from its records, in the three ways that programs write them; sorted by name. */
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
