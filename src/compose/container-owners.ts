import { readFile, stat } from 'node:fs/promises';
import type { HostInfo } from '../hosts/host.ts';
import { errorMessage } from '../model/errors.ts';
import type { IdRange, OwnerMap } from '../model/owner-map.ts';
import { quote } from '../model/quote.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const rootOwner: Owner = { uid: 0, gid: 0 };

/** Which numbers the users of an engine's containers have on this machine. */
export type ContainerOwners =
  | { readonly kind: 'same' }
  /** By `userns-remap`, from which `userns_mode: host` exempts a service; or by an engine without root, which exempts none. */
  | { readonly kind: 'remapped' | 'rootless'; readonly map: OwnerMap }
  | { readonly kind: 'unknown'; readonly why: string };

/**
 * As the engine tells it: one with `userns-remap` has the numbers of its containers' root in the name of its data
 * folder, and a rootless one runs as the owner of that folder.
 */
export async function lookAtOwners(info: HostInfo): Promise<ContainerOwners> {
  const { dataRoot, isRootless, isRemapped } = info;
  if (isRootless !== true && isRemapped !== true) return { kind: 'same' };
  if (info.isRemote === true || dataRoot === undefined)
    return { kind: 'unknown', why: 'the engine is on another machine' };
  // Without a remapping, such a name is a version or the like.
  const remapped = isRemapped === true ? /\/(\d{1,10})\.(\d{1,10})\/?$/.exec(dataRoot) : undefined;
  if (remapped === null) return { kind: 'unknown', why: `${quote(dataRoot)} does not tell the numbers` };
  try {
    const [users, groups] = [await readRanges('/etc/subuid'), await readRanges('/etc/subgid')];
    const [, uid, gid] = remapped ?? [];
    if (uid !== undefined && gid !== undefined)
      return remappedOwners({ uid: Number(uid), gid: Number(gid) }, { users, groups });
    const { uid: user, gid: group } = await stat(dataRoot);
    const name = nameOf(user, await readFile('/etc/passwd', 'utf8'));
    return rootlessOwners({ uid: user, gid: group, name }, { users, groups });
  } catch (error) {
    return { kind: 'unknown', why: errorMessage(error) };
  }
}

/** A line of `/etc/subuid` or `/etc/subgid`. */
interface SubordinateRange {
  readonly owner: string;
  readonly start: number;
  readonly count: number;
}

interface SubordinateRanges {
  readonly users: readonly SubordinateRange[];
  readonly groups: readonly SubordinateRange[];
}

async function readRanges(file: string): Promise<SubordinateRange[]> {
  const content = await readFile(file, 'utf8');
  return content.split('\n').flatMap((line) => {
    const [, owner, start, count] = /^([^:#]+):(\d{1,10}):(\d{1,10})$/.exec(line.trim()) ?? [];
    return owner === undefined ? [] : [{ owner, start: Number(start), count: Number(count) }];
  });
}

function nameOf(uid: number, passwd: string): string | undefined {
  return passwd
    .split('\n')
    .find((line) => line.split(':')[2] === String(uid))
    ?.split(':')[0];
}

/** One range begins with the number of root; the engine uses all ranges of that range's user. Pure. */
export function remappedOwners(root: Owner, { users, groups }: SubordinateRanges): ContainerOwners {
  const mapOf = (start: number, ranges: readonly SubordinateRange[]): IdRange[] => {
    const owner = ranges.find((range) => range.start === start)?.owner;
    if (owner === undefined) return [{ from: 0, to: start, count: 65_536 }];
    return inOrder(
      0,
      ranges.filter((range) => range.owner === owner),
    );
  };
  return { kind: 'remapped', map: { users: mapOf(root.uid, users), groups: mapOf(root.gid, groups) } };
}

/** Root is the user who runs the engine; from 1 on, numbers come from that user's ranges. Pure. */
export function rootlessOwners(
  { uid, gid, name }: Owner & { readonly name: string | undefined },
  { users, groups }: SubordinateRanges,
): ContainerOwners {
  const isOwn = ({ owner }: SubordinateRange): boolean => owner === name || owner === String(uid);
  return {
    kind: 'rootless',
    map: {
      users: [{ from: 0, to: uid, count: 1 }, ...inOrder(1, users.filter(isOwn))],
      groups: [{ from: 0, to: gid, count: 1 }, ...inOrder(1, groups.filter(isOwn))],
    },
  };
}

function inOrder(first: number, ranges: readonly SubordinateRange[]): IdRange[] {
  let from = first;
  return ranges.map(({ start, count }) => {
    const range = { from, to: start, count };
    from += count;
    return range;
  });
}

/** The numbers on this machine of the root of an engine's containers; those of root itself where they are not known. */
export async function containersRoot(info: HostInfo): Promise<Owner> {
  const owner = ownerOnMachine(rootOwner, await lookAtOwners(info), undefined);
  return typeof owner === 'string' ? rootOwner : owner;
}

/** The number on this machine of a service's user, or why there is none. Pure. */
export function ownerOnMachine(
  owner: Owner,
  owners: ContainerOwners,
  usernsMode: string | undefined,
): Owner | string {
  if (usernsMode !== undefined && usernsMode !== '' && usernsMode !== 'host')
    return `"userns_mode" is ${quote(usernsMode)}, and only the engine knows the number of ${numbersOf(owner)} then`;
  if (owners.kind === 'same' || (owners.kind === 'remapped' && usernsMode === 'host')) return owner;
  if (owners.kind === 'unknown')
    return `the engine maps the users of containers to others, and it is not known to which: ${owners.why}`;
  const uid = numberIn(owners.map.users, owner.uid);
  const gid = numberIn(owners.map.groups, owner.gid);
  if (uid !== undefined && gid !== undefined) return { uid, gid };
  return `the engine has no number on this machine for ${numbersOf(owner)}: /etc/subuid and /etc/subgid give it too few`;
}

function numberIn(ranges: readonly IdRange[], id: number): number | undefined {
  const range = ranges.find(({ from, count }) => id >= from && id < from + count);
  return range === undefined ? undefined : range.to + id - range.from;
}

export function numbersOf({ uid, gid }: Owner): string {
  return `${uid}:${gid}`;
}
