import type { ByteString } from '../../model/byte-string.ts';

/** The attributes that hold a file's ACLs, in the kernel's binary form, and the PAX records that hold them as text. */
export const aclRecords = [
  { attribute: 'system.posix_acl_access', record: 'SCHILY.acl.access' },
  { attribute: 'system.posix_acl_default', record: 'SCHILY.acl.default' },
] as const;

const tags = [
  { number: 0x01, name: 'user', hasId: false },
  { number: 0x02, name: 'user', hasId: true },
  { number: 0x04, name: 'group', hasId: false },
  { number: 0x08, name: 'group', hasId: true },
  { number: 0x10, name: 'mask', hasId: false },
  { number: 0x20, name: 'other', hasId: false },
] as const;

const version = 2;
const noId = 0xffff_ffff;

/** `user::rwx,user:1000:r--,…` from the kernel's form; undefined when the form is unknown. */
export function formatAcl(value: Uint8Array): ByteString | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0 || bytes.readUInt32LE(0) !== version) return undefined;
  const parts: string[] = [];
  for (let at = 4; at < bytes.length; at += 8) {
    const tag = tags.find((one) => one.number === bytes.readUInt16LE(at));
    if (tag === undefined) return undefined;
    const bits = bytes.readUInt16LE(at + 2);
    const permissions = `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${bits & 1 ? 'x' : '-'}`;
    parts.push(`${tag.name}:${tag.hasId ? bytes.readUInt32LE(at + 4) : ''}:${permissions}`);
  }
  return parts.join(',');
}

/**
 * The kernel's form from text as GNU tar and star write it: parts separated by commas or newlines, a comment
 * after `#`, star's numeric id as a fourth field. Undefined when a part is invalid or has a name without a
 * number.
 */
export function parseAcl(text: ByteString): Uint8Array | undefined {
  const parts = text.split(/[,\n]/).map((part) => part.replace(/#.*$/, '').trim());
  const entries: Buffer[] = [];
  for (const part of parts) {
    if (part === '') continue;
    const entry = parseAclPart(part);
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  if (entries.length === 0) return undefined;
  entries.sort(
    (one, other) =>
      one.readUInt16LE(0) - other.readUInt16LE(0) || one.readUInt32LE(4) - other.readUInt32LE(4),
  );
  const head = Buffer.alloc(4);
  head.writeUInt32LE(version);
  return Buffer.concat([head, ...entries]);
}

function parseAclPart(part: string): Buffer | undefined {
  const match = /^(user|u|group|g|mask|m|other|o):([^:]*):([rwx-]{1,3})(?::(\d{1,10}))?$/.exec(part);
  if (match === null) return undefined;
  const [, kind = '', who = '', permissions = '', starId] = match;
  const tag = tags.find((one) => one.name.startsWith(kind.charAt(0)) && one.hasId === (who !== ''));
  const id = Number(starId ?? who);
  if (tag === undefined || (tag.hasId && !(Number.isInteger(id) && id >= 0 && id < noId))) return undefined;
  const entry = Buffer.alloc(8);
  const bits =
    (permissions.includes('r') ? 4 : 0) |
    (permissions.includes('w') ? 2 : 0) |
    (permissions.includes('x') ? 1 : 0);
  entry.writeUInt16LE(tag.number, 0);
  entry.writeUInt16LE(bits, 2);
  entry.writeUInt32LE(tag.hasId ? id : noId, 4);
  return entry;
}
