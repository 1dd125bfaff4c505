import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import { quote } from '../../model/quote.ts';
import { type Counted, parseGroups, parseIoStat, parseProcessIo } from '../usage/top/parse.ts';
import { folderOf, type GroupFolders, readBlkio } from '../usage/top/read-sample.ts';
import { containerGroupIn, groupsOf } from './credentials.ts';
import { readOrNothing } from './read-or-nothing.ts';

/** What has been read and written until a moment. */
export interface EaterSample {
  /** Of all processes, in bytes: those of a container by its id or its control group, all others by their number. */
  readonly processes: ReadonlyMap<string, number>;
  /** Of containers' control groups, by the container's id. */
  readonly groups: ReadonlyMap<string, GroupCounters>;
}

export interface GroupCounters {
  /** Bytes by `major:minor`. */
  readonly devices: ReadonlyMap<string, number>;
  /** Nothing is left out: version 2 counts what is written through the cache, too. */
  readonly isWhole: boolean;
}

export async function takeEaterSample(
  containers: readonly Container[],
  folders: GroupFolders,
): Promise<EaterSample> {
  const groups = new Map<string, GroupCounters>();
  for (const { id, pid } of containers) {
    const counters = pid === undefined ? undefined : await readCounters(pid, folders);
    if (counters !== undefined) groups.set(id, counters);
  }
  return { processes: readProcesses(containers), groups };
}

async function readCounters(pid: number, folders: GroupFolders): Promise<GroupCounters | undefined> {
  const known = parseGroups(readOrNothing(`/proc/${pid}/cgroup`));
  const unified = folderOf(folders.unified, known.unified);
  // A machine with both versions has the devices in one of them.
  const stat = unified === undefined ? undefined : await readIfThere(path.join(unified, 'io.stat'));
  if (stat !== undefined) return { devices: bytesBy(parseIoStat(stat)), isWhole: true };
  const blkio = folderOf(folders.blkio, known.blkio);
  const counted = blkio === undefined ? undefined : await readBlkio(blkio);
  return counted === undefined ? undefined : { devices: bytesBy(counted), isWhole: false };
}

function bytesBy(devices: ReadonlyMap<string, Counted>): ReadonlyMap<string, number> {
  return new Map(
    [...devices].map(([device, { readBytes, writtenBytes }]) => [device, readBytes + writtenBytes]),
  );
}

/**
 * What a process has moved counts for its parent when it has ended, so that of a container only the sum
 * over all of its processes is right. Where control groups are given to users, one of them may have any
 * container's id in its name: what is not in the group of the container's first process is not the container's.
 */
function readProcesses(containers: readonly Container[]): Map<string, number> {
  const found = new Map<string, number>();
  const groups = groupsOf(containers);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const io = parseProcessIo(readOrNothing(`/proc/${pid}/io`));
    if (io === undefined) continue;
    const group = containerGroupIn(readOrNothing(`/proc/${pid}/cgroup`));
    const key = group === undefined ? pid : (groups.get(group) ?? group);
    found.set(key, (found.get(key) ?? 0) + io.readBytes + io.writtenBytes);
  }
  return found;
}

export interface Eater {
  readonly name: string;
  /** Of the container, if it is one. */
  readonly container: string | undefined;
  readonly bytesPerSecond: number;
  /** Counted for this disk; otherwise on all disks together. */
  readonly isOfDisk: boolean;
}

export interface EaterOptions {
  readonly seconds: number;
  /** `major:minor` of a whole disk. */
  readonly disk: string;
  readonly containers: readonly Pick<Container, 'id' | 'name'>[];
  /** Containers that have something of this disk mounted, by their id. */
  readonly users: ReadonlySet<string>;
  /**
   * For messages, what is none of these containers: a process, or a control group.
   * Undefined for the kernel's own, which write what others gave them.
   */
  readonly nameOf: (key: string) => string | undefined;
}

const mostEaters = 3;

/** What moved the most between two samples; pure. */
export function planEaters(
  before: EaterSample,
  after: EaterSample,
  { seconds, disk, containers, users, nameOf }: EaterOptions,
): Eater[] {
  const keys = new Set([...after.processes.keys(), ...after.groups.keys()]);
  const moved = [...keys].flatMap((key) => {
    const ofGroup = movedOnDisk(before.groups.get(key), after.groups.get(key), disk);
    const ofProcesses = (after.processes.get(key) ?? 0) - (before.processes.get(key) ?? 0);
    const isOfDisk = ofGroup !== undefined && (ofGroup.isWhole || ofGroup.bytes >= ofProcesses);
    const bytes = isOfDisk ? ofGroup.bytes : ofProcesses;
    return bytes > 0 ? [{ key, bytes, isOfDisk }] : [];
  });
  // What moves much on another disk is not to blame where there are those that use this one.
  const isUser = ({ key, isOfDisk }: (typeof moved)[number]): boolean => isOfDisk || users.has(key);
  const isContainer = (wanted: string): boolean => containers.some(({ id }) => id === wanted);
  const blamed = moved.some(isUser) ? moved.filter((one) => isUser(one) || !isContainer(one.key)) : moved;
  return blamed
    .toSorted((left, right) => right.bytes - left.bytes)
    .flatMap(({ key, bytes, isOfDisk }): Eater[] => {
      const container = containers.find(({ id }) => id === key);
      const name = container === undefined ? nameOf(key) : quote(container.name);
      if (name === undefined) return [];
      return [{ name, container: container?.name, bytesPerSecond: bytes / seconds, isOfDisk }];
    })
    .slice(0, mostEaters);
}

/** Undefined where the group does not count this disk: version 1 begins when it is to limit it. */
function movedOnDisk(
  before: GroupCounters | undefined,
  after: GroupCounters | undefined,
  disk: string,
): { readonly bytes: number; readonly isWhole: boolean } | undefined {
  const bytes = after?.devices.get(disk);
  if (after === undefined || (bytes === undefined && !after.isWhole)) return undefined;
  return { bytes: (bytes ?? 0) - (before?.devices.get(disk) ?? 0), isWhole: after.isWhole };
}

/** Of these containers, those with a mount of one of these devices. */
export function usersOf(device: string, containers: readonly Pick<Container, 'id' | 'pid'>[]): Set<string> {
  const using = containers.filter(
    ({ pid }) =>
      pid !== undefined &&
      readOrNothing(`/proc/${pid}/mountinfo`)
        .split('\n')
        .some((line) => line.split(' ')[2] === device),
  );
  return new Set(using.map(({ id }) => id));
}

/** The whole disk of a partition, by which control groups count. */
export function wholeDisk(device: string): string {
  try {
    const place = readlinkSync(`/sys/dev/block/${device}`);
    const isPartition = readOrNothing(`/sys/dev/block/${device}/partition`) !== '';
    const above = path.join('/sys/dev/block', path.dirname(place), 'dev');
    return isPartition ? readOrNothing(above).trim() || device : device;
  } catch {
    // A file system without a disk.
    return device;
  }
}

/** Undefined for a thread of the kernel, and for what has ended. */
export function nameOfOther(key: string): string | undefined {
  // By the whole of its path: a part of it is a name that a user may have chosen.
  if (key.includes('/')) return `control group ${quote(key.slice(key.indexOf('/')))}, of no container here,`;
  return readOrNothing(`/proc/${key}/cmdline`) === ''
    ? undefined
    : `process ${key} (${quote(readOrNothing(`/proc/${key}/comm`).trim())})`;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'latin1');
  } catch {
    // The controller is not of this hierarchy, or the container has ended.
    return undefined;
  }
}
