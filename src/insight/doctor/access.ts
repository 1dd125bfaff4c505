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

/** All that an ACL gives a user, and that its mask takes back; pure. */
export function rightsBehindMask(who: Identified, guard: Guard): number {
  const acl = guard.acl?.filter(({ tag }) => tag !== 'mask');
  return ownRights(who, { ...guard, acl }) & ~ownRights(who, guard);
}

/** By which entries of an ACL a process is judged. */
export type Identified = Pick<Credentials, 'uid' | 'gid' | 'groups'>;

/**
 * The ACL by which a user has these rights too. No other user gains by that: what the mask has cut is cut for good,
 * before the mask is widened. Pure.
 */
export function letIn(who: Identified, guard: Guard, wanted: number): AclEntry[] {
  const acl = guard.acl ?? aclOfMode(guard.mode);
  const mask = acl.find(({ tag }) => tag === 'mask')?.rights ?? 7;
  const isCut = ({ tag }: AclEntry): boolean => tag === 'user' || tag === 'group-owner' || tag === 'group';
  const others = acl
    .filter(({ tag, id }) => tag !== 'mask' && !(tag === 'user' && id === who.uid))
    .map((entry) => (isCut(entry) ? { ...entry, rights: entry.rights & mask } : entry));
  const own: AclEntry = { tag: 'user', id: who.uid, rights: ownRights(who, guard) | wanted };
  const widest = [...others, own].filter(isCut).reduce((sum, { rights }) => sum | rights, 0);
  return [...others, own, { tag: 'mask', id: noId, rights: widest }];
}

/** Of entries that stand for no one number. */
const noId = 0xffff_ffff;

function aclOfMode(mode: number): AclEntry[] {
  return [
    { tag: 'owner', id: noId, rights: (mode >> 6) & 7 },
    { tag: 'group-owner', id: noId, rights: (mode >> 3) & 7 },
    { tag: 'other', id: noId, rights: mode & 7 },
  ];
}

/** A capability of a user namespace is good for the files whose owner and group have a number there. */
function rightsByCapability(who: Credentials, { uid, gid, isDirectory, mode }: Guard): number {
  if (numberInside(who.uidMap, uid) === undefined || numberInside(who.gidMap, gid) === undefined) return 0;
  if (who.overrides) return isDirectory || (mode & 0o111) !== 0 ? 7 : right.read | right.write;
  if (who.readsAll) return isDirectory ? right.read | right.enter : right.read;
  return 0;
}

/** Without what capabilities add; pure. */
export function ownRights(who: Identified, guard: Guard): number {
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

const attribute = 'system.posix_acl_access';

/** An access ACL as the attribute of a file: the kernel's binary form, which has an order. Pure. */
export function aclAttribute(acl: readonly AclEntry[]): ExtendedAttribute {
  const numbers = Object.fromEntries(Object.entries(tags).map(([number, tag]) => [tag, Number(number)]));
  const entries = acl
    .map(({ tag, id, rights }) => ({ number: numbers[tag] ?? 0, id, rights }))
    .toSorted((a, b) => a.number - b.number || a.id - b.id);
  const view = new DataView(new ArrayBuffer(4 + 8 * entries.length));
  view.setUint32(0, 2, true);
  for (const [index, { number, id, rights }] of entries.entries()) {
    const at = 4 + 8 * index;
    view.setUint16(at, number, true);
    view.setUint16(at + 2, rights, true);
    view.setUint32(at + 4, id, true);
  }
  return { name: attribute, value: new Uint8Array(view.buffer) };
}

/** The access ACL among a file's attributes; undefined where it has none. Pure. */
export function aclIn(attributes: readonly ExtendedAttribute[]): AclEntry[] | undefined {
  const found = attributes.find(({ name }) => name === attribute)?.value;
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
