import type { ExtendedAttribute } from '../model/entry.ts';
import { mapId, type OwnerMap } from '../model/owner-map.ts';
import { aclRecords } from './tar/posix-acl.ts';

interface Owned {
  readonly uid: number;
  readonly gid: number;
  readonly xattrs?: readonly ExtendedAttribute[];
}

/** The same entry with other owners, including those named in its ACLs. */
export function mapOwner<T extends Owned>(thing: T, map: OwnerMap | undefined): T {
  if (map === undefined) return thing;
  const uid = mapId(map.users, thing.uid);
  const gid = mapId(map.groups, thing.gid);
  if (thing.xattrs === undefined || !thing.xattrs.some(isAcl)) return { ...thing, uid, gid };
  const xattrs = thing.xattrs.map((attribute) =>
    isAcl(attribute) ? { ...attribute, value: mapAcl(attribute.value, map) } : attribute,
  );
  return { ...thing, uid, gid, xattrs };
}

function isAcl({ name }: ExtendedAttribute): boolean {
  return aclRecords.some(({ attribute }) => attribute === name);
}

const namedUser = 0x02;
const namedGroup = 0x08;

/**
 * The kernel's form: a version, then entries of a tag, permissions and an id. Any other form is unchanged.
 */
function mapAcl(value: Uint8Array, map: OwnerMap): Uint8Array {
  const bytes = Buffer.from(value);
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0) return value;
  for (let at = 4; at < bytes.length; at += 8) {
    const tag = bytes.readUInt16LE(at);
    const ranges = tag === namedUser ? map.users : tag === namedGroup ? map.groups : undefined;
    if (ranges !== undefined) bytes.writeUInt32LE(mapId(ranges, bytes.readUInt32LE(at + 4)), at + 4);
  }
  return bytes;
}
