import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import { toText } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';

interface ContainerProcess {
  /** The host's number of the container's first process, from the engine. */
  readonly pid: number;
  /** The container's id, 64 hexadecimal digits. */
  readonly id: string;
}

/** For tests: where the kernel's files are read. */
interface Kernel {
  readonly procDir?: string;
}

/**
 * The folder of a container's own control group, version 2, when this process may freeze it; undefined
 * otherwise. The engine may run on another machine or number processes differently, so the process counts as
 * the container's only if the kernel shows it here in a group of the container's id.
 */
export function findControlGroup(
  { pid, id }: ContainerProcess,
  { procDir = '/proc' }: Kernel = {},
): string | undefined {
  if (!/^[0-9a-f]{64}$/.test(id)) return undefined;
  const group = groupOfContainer(readOr(`${procDir}/${pid}/cgroup`, ''), id);
  if (group === undefined) return undefined;
  // A process that froze its own group could never thaw it.
  const own = pathOfVersion2(readOr(`${procDir}/self/cgroup`, '')) ?? '/';
  if (own === group || own.startsWith(`${group}/`)) return undefined;
  for (const { type, root, path: mountPath } of parseMountinfo(readOr(`${procDir}/self/mountinfo`, ''))) {
    if (type !== 'cgroup2' || root !== '/') continue;
    const folder = path.join(toText(mountPath), group);
    if (isWritable(path.join(folder, 'cgroup.freeze'))) return folder;
  }
  return undefined;
}

/**
 * The group's path up to the component that names the container, which may have groups of its own below;
 * pure. Undefined when the engine also keeps the container in groups of version 1, where a process that it
 * starts later need not be in this one.
 */
export function groupOfContainer(cgroupText: string, id: string): string | undefined {
  const isAlsoOld = cgroupText.split('\n').some((line) => !line.startsWith('0::') && line.includes(id));
  const group = isAlsoOld ? undefined : pathOfVersion2(cgroupText);
  const parts = group?.split('/') ?? [];
  const own = parts.findIndex((part) => part.includes(id));
  // From another control group namespace it appears beside: "/../ID".
  return own === -1 || parts.includes('..') ? undefined : parts.slice(0, own + 1).join('/');
}

/** `running` includes a group that is being frozen and is not still yet. */
export type GroupState = 'running' | 'frozen' | 'gone';

/** Asks the kernel to freeze a group, without waiting; false when the group is gone. */
export function startFreezing(folder: string): boolean {
  return write(folder, '1');
}

/** Thaws a group; false when the group is gone. May be repeated. */
export function thaw(folder: string): boolean {
  return write(folder, '0');
}

/** Thaws as many as possible, then throws the first error. */
export function thawAll(folders: Iterable<string>): void {
  const errors: unknown[] = [];
  for (const folder of folders) {
    try {
      thaw(folder);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** True for a group that has been asked to freeze, whether it is frozen yet or not. */
export function isToBeFrozen(folder: string): boolean {
  return readOr(path.join(folder, 'cgroup.freeze'), '').trim() === '1';
}

export function groupState(folder: string): GroupState {
  const events = readOr(path.join(folder, 'cgroup.events'), undefined);
  if (events === undefined) return 'gone';
  return /^frozen 1$/m.test(events) ? 'frozen' : 'running';
}

/** Synchronous, because the kernel's own files have no disk below them. */
function write(folder: string, value: string): boolean {
  try {
    writeFileSync(path.join(folder, 'cgroup.freeze'), value, { flag: 'r+' });
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

function pathOfVersion2(cgroupText: string): string | undefined {
  return /^0::(\/.*)$/m.exec(cgroupText)?.[1];
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function readOr<T>(file: string, otherwise: T): string | T {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return otherwise;
  }
}

function isGone(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOENT' || code === 'ENODEV';
}
