import { readdirSync } from 'node:fs';
import type { Container } from '../../hosts/containers.ts';
import type { UserNumbers } from './image-users.ts';
import { readOrNothing } from './read-or-nothing.ts';

/** Numbers of a user namespace, and those of this machine that they stand for. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** With what rights a process meets the file system. All numbers are this machine's. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** CAP_DAC_OVERRIDE: may do everything with files whose owner has a number in its user namespace. */
  readonly overrides: boolean;
  /** CAP_DAC_READ_SEARCH: may read those. */
  readonly readsAll: boolean;
  readonly uidMap: readonly IdRange[];
  readonly gidMap: readonly IdRange[];
}

/** A process of a container, for all of the container that have the same rights. */
export interface Runner {
  /** Undefined for a container that does not run. */
  readonly pid: number | undefined;
  /** As the process calls itself. */
  readonly command: string;
  readonly credentials: Credentials;
}

const everyId: readonly IdRange[] = [{ inside: 0, outside: 0, count: 2 ** 32 - 1 }];

/**
 * The processes of this machine by the container that they are of, whose id is in their control group. Of a
 * container that runs, only those in the group of its first process: users may make groups below their own, with
 * any container's id as the name.
 */
export function processesByContainer(
  containers: readonly Pick<Container, 'id' | 'pid'>[],
): ReadonlyMap<string, readonly number[]> {
  const running = groupsOf(containers);
  const known = new Set(running.values());
  const found = new Map<string, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const text = readOrNothing(`/proc/${name}/cgroup`);
    const [group = '', named] = [containerGroupIn(text), containerIdIn(text)];
    const id = running.get(group) ?? (named !== undefined && known.has(named) ? undefined : named);
    if (id === undefined) continue;
    found.set(id, [...(found.get(id) ?? []), Number(name)]);
  }
  return found;
}

/** Containers that run, by the control group of their first process. */
export function groupsOf(containers: readonly Pick<Container, 'id' | 'pid'>[]): ReadonlyMap<string, string> {
  return new Map(
    containers.flatMap(({ id, pid }) => {
      const text = pid === undefined ? '' : readOrNothing(`/proc/${pid}/cgroup`);
      const group = containerGroupIn(text);
      return group === undefined || containerIdIn(text) !== id ? [] : [[group, id] as const];
    }),
  );
}

/** The hierarchy and the path of the innermost container's control group, without what is below it; pure. */
export function containerGroupIn(cgroups: string): string | undefined {
  const id = containerIdIn(cgroups);
  if (id === undefined) return undefined;
  const end = cgroups.lastIndexOf(id) + id.length;
  // The line may end with the id.
  return cgroups.slice(cgroups.lastIndexOf('\n', end - 1) + 1, end);
}

/** The innermost, where containers run in containers. */
export function containerIdIn(cgroups: string): string | undefined {
  return cgroups.match(/[0-9a-f]{64}/g)?.at(-1);
}

const mostRunners = 32;

/** One process for each set of rights that a running container's processes have, the first process's first. */
export function readRunners(first: number, processes: readonly number[]): Runner[] {
  const found = new Map<string, Runner>();
  for (const pid of [first, ...processes.filter((other) => other !== first)]) {
    const runner = readRunner(pid);
    const key = JSON.stringify(runner?.credentials);
    if (runner !== undefined && !found.has(key)) found.set(key, runner);
    if (found.size === mostRunners) break;
  }
  return [...found.values()];
}

/** Undefined for a process that has ended. */
function readRunner(pid: number): Runner | undefined {
  const status = readOrNothing(`/proc/${pid}/status`);
  if (status === '') return undefined;
  const uidMap = parseIdMap(readOrNothing(`/proc/${pid}/uid_map`));
  const gidMap = parseIdMap(readOrNothing(`/proc/${pid}/gid_map`));
  return { pid, command: commandOf(pid, status), credentials: { ...parseStatus(status), uidMap, gidMap } };
}

const dacOverride = 1n << 1n;
const dacReadSearch = 1n << 2n;

/** The rights in the format of `/proc/PID/status`; pure. The fourth number of a line is the one for files. */
export function parseStatus(status: string): Omit<Credentials, 'uidMap' | 'gidMap'> {
  const line = (name: string): string =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
  const numbers = (name: string): number[] => line(name).split(/\s+/).filter(Boolean).map(Number);
  const capabilities = BigInt(`0x${line('CapEff') || '0'}`);
  return {
    uid: numbers('Uid')[3] ?? 0,
    gid: numbers('Gid')[3] ?? 0,
    groups: numbers('Groups'),
    overrides: (capabilities & dacOverride) !== 0n,
    readsAll: (capabilities & (dacOverride | dacReadSearch)) !== 0n,
  };
}

/** The format of `/proc/PID/uid_map`; pure. */
export function parseIdMap(text: string): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number);
    return inside === undefined || outside === undefined || count === undefined
      ? []
      : [{ inside, outside, count }];
  });
}

/** A number of this machine as a user namespace knows it; undefined where it has none for it. Pure. */
export function numberInside(map: readonly IdRange[], outside: number): number | undefined {
  const range = map.find((each) => outside >= each.outside && outside < each.outside + each.count);
  return range === undefined ? undefined : range.inside + outside - range.outside;
}

/** True in a user namespace that is not the machine's; pure. */
export function isMapped({ uidMap }: Pick<Credentials, 'uidMap'>): boolean {
  return uidMap.some(({ inside, outside }) => inside !== outside);
}

/**
 * The rights that a container will have when it starts, by its configuration: those of `USER`, or root's.
 * Undefined for a name whose number is not known. `mapBase` is the machine's number of root in the containers
 * of an engine with a user namespace of its own.
 */
export function plannedRunner(
  { user, capabilities = { dropped: [], added: [] } }: Pick<Container, 'user' | 'capabilities'>,
  { numbers, mapBase = 0 }: { readonly numbers?: UserNumbers | undefined; readonly mapBase?: number } = {},
): Runner | undefined {
  const [uid, gid] =
    /^(?:(\d+)(?::(\d+))?|)$/
      .exec(user)
      ?.slice(1)
      .map((part) => Number(part ?? 0)) ?? [];
  const known = numbers ?? (uid === undefined ? undefined : { uid, gid: gid ?? 0, groups: [] });
  if (known === undefined) return undefined;
  const map = mapBase === 0 ? everyId : [{ inside: 0, outside: mapBase, count: 65_536 }];
  const isRoot = known.uid === 0;
  const { dropped, added } = capabilities;
  const has = (capability: string, isUsual: boolean): boolean =>
    isRoot &&
    (added.includes(capability) ||
      added.includes('ALL') ||
      (isUsual && !dropped.includes(capability) && !dropped.includes('ALL')));
  const overrides = has('DAC_OVERRIDE', true);
  return {
    pid: undefined,
    command: '',
    credentials: {
      uid: mapBase + known.uid,
      gid: mapBase + known.gid,
      groups: known.groups.map((group) => mapBase + group),
      overrides,
      readsAll: overrides || has('DAC_READ_SEARCH', false),
      uidMap: map,
      gidMap: map,
    },
  };
}

function commandOf(pid: number, status: string): string {
  const words = readOrNothing(`/proc/${pid}/cmdline`).split('\0').filter(Boolean).join(' ');
  return (words || (/^Name:\s*(.*)$/m.exec(status)?.[1] ?? '')).slice(0, 80);
}
