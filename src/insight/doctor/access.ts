import type { ExtendedAttribute } from '../../model/entry.ts';
import { type Credentials, numberInside } from './credentials.ts';

/** What a file or folder lets others do. */
export interface Guard {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly isDirectory: boolean;
  /** Undefined where the mode says it all. */
  readonly acl: readonly AclEntry[] | undefined;
}

export interface AclEntry {
  readonly tag: 'owner' | 'user' | 'group-owner' | 'group' | 'mask' | 'other';
  readonly id: number;
  /** The bits of `right`. */
  readonly rights: number;
}

/** As in a mode; to enter a folder is to execute it. */
export const right = { read: 4, write: 2, enter: 1 } as const;

/** What of the wanted rights is refused, as bits; 0 when all is allowed. As the kernel decides it; pure. */
export function refusedRights(who: Credentials, guard: Guard, wanted: number): number {
  return wanted & ~(ownRights(who, guard) | rightsByCapability(who, guard));
}

/** The wanted rights that an ACL gives, and that its mask takes back; pure. */
export function maskedRights(who: Credentials, guard: Guard, wanted: number): number {
  const acl = guard.acl?.filter(({ tag }) => tag !== 'mask');
  return refusedRights(who, guard, wanted) & ~refusedRights(who, { ...guard, acl }, wanted);
}

/** A capability of a user namespace is good for the files whose owner and group have a number there. */
function rightsByCapability(who: Credentials, { uid, gid, isDirectory, mode }: Guard): number {
  if (numberInside(who.uidMap, uid) === undefined || numberInside(who.gidMap, gid) === undefined) return 0;
  if (who.overrides) return isDirectory || (mode & 0o111) !== 0 ? 7 : right.read | right.write;
  if (who.readsAll) return isDirectory ? right.read | right.enter : right.read;
  return 0;
}

function ownRights(who: Credentials, guard: Guard): number {
  if (who.uid === guard.uid) return (guard.mode >> 6) & 7;
  const isOf = (gid: number): boolean => who.gid === gid || who.groups.includes(gid);
  if (guard.acl === undefined) return isOf(guard.gid) ? (guard.mode >> 3) & 7 : guard.mode & 7;
  const mask = guard.acl.find(({ tag }) => tag === 'mask')?.rights ?? 7;
  const named = guard.acl.find(({ tag, id }) => tag === 'user' && id === who.uid);
  if (named !== undefined) return named.rights & mask;
  const groups = guard.acl.filter(
    ({ tag, id }) => (tag === 'group-owner' && isOf(guard.gid)) || (tag === 'group' && isOf(id)),
  );
  // One entry has to allow all that is wanted at once: the widest is the best that can be had.
  if (groups.length > 0) return Math.max(...groups.map(({ rights }) => rights & mask));
  return guard.acl.find(({ tag }) => tag === 'other')?.rights ?? guard.mode & 7;
}

const tags: Readonly<Record<number, AclEntry['tag']>> = {
  0x01: 'owner',
  0x02: 'user',
  0x04: 'group-owner',
  0x08: 'group',
  0x10: 'mask',
  0x20: 'other',
};

/** The kernel's binary form of an access ACL, among a file's attributes; undefined where it has none. Pure. */
export function aclIn(attributes: readonly ExtendedAttribute[]): AclEntry[] | undefined {
  const found = attributes.find(({ name }) => name === 'system.posix_acl_access')?.value;
  if (found === undefined || found.length < 4) return undefined;
  const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
  const entries: AclEntry[] = [];
  for (let at = 4; at + 8 <= view.byteLength; at += 8) {
    const tag = tags[view.getUint16(at, true)];
    if (tag !== undefined)
      entries.push({ tag, rights: view.getUint16(at + 2, true) & 7, id: view.getUint32(at + 4, true) });
  }
  return entries;
}

/** `read`, `enter and write`: for messages. Pure. */
export function describeRights(bits: number, isDirectory: boolean): string {
  const words = [
    ...((bits & right.enter) !== 0 && isDirectory ? ['enter'] : []),
    ...((bits & right.read) !== 0 ? [isDirectory ? 'list' : 'read'] : []),
    ...((bits & right.write) !== 0 ? ['write to'] : []),
  ];
  return words.join(' and ');
}
