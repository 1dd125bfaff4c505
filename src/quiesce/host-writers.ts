import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Breather } from '../lib/breathe.ts';
import { isWithin } from '../model/clean-path.ts';

/** A process outside all known containers that has a file open, or mapped, for writing. */
export interface HostWriter {
  readonly pid: number;
  /** The kernel's name for it: `postgres`. */
  readonly name: string;
  readonly path: string;
}

interface WriterSearch {
  /** Directories and files of this machine, without symbolic links. */
  readonly roots: readonly string[];
  /** Processes in these containers are known. */
  readonly containerIds: readonly string[];
  readonly signal?: AbortSignal | undefined;
  /** For tests. */
  readonly procDir?: string;
}

const enough = 3;

/**
 * Looks for writers outside containers: a daemon of the machine, a shell with a file open. Sees what this
 * process may see; without root, that is its own user's processes.
 */
export async function findHostWriters(search: WriterSearch): Promise<HostWriter[]> {
  const { procDir = '/proc', signal } = search;
  const found: HostWriter[] = [];
  const breather = new Breather('looking for writers', signal);
  for (const name of orNothing(() => readdirSync(procDir), [])) {
    // Read synchronously: the kernel answers at once, and awaiting each answer would take ten times as long.
    if (breather.isDue()) await breather.breathe();
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const proc = `${procDir}/${name}`;
    const path = writtenPath(proc, search);
    if (path === undefined || isInContainer(proc, search.containerIds)) continue;
    found.push({ pid, name: orNothing(() => readText(`${proc}/comm`), '').trim() || 'a process', path });
    if (found.length === enough) break;
  }
  return found;
}

/** A file below the roots that a process can write to, or undefined. */
function writtenPath(proc: string, { roots }: WriterSearch): string | undefined {
  const isBelow = (path: string): boolean => roots.some((root) => isWithin(path, root));
  for (const fd of orNothing(() => readdirSync(`${proc}/fd`), [])) {
    const path = orNothing(() => readlinkSync(`${proc}/fd/${fd}`), '');
    if (isBelow(path) && isForWriting(`${proc}/fdinfo/${fd}`)) return path;
  }
  // Shared and writable: `7f… rw-s 00000000 08:01 1234   /path`.
  const maps = orNothing(() => readText(`${proc}/maps`), '');
  if (!roots.some((root) => maps.includes(root))) return undefined;
  for (const line of maps.split('\n')) {
    const [, access = ''] = line.split(' ', 2);
    if (access[1] !== 'w' || access[3] !== 's') continue;
    const path = line.slice(line.indexOf('/'));
    if (line.includes('/') && isBelow(path)) return path;
  }
  return undefined;
}

function isForWriting(fdinfo: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(orNothing(() => readText(fdinfo), ''))?.[1];
  // The lowest two bits: O_WRONLY or O_RDWR.
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
}

/** Its control group is named after its container, or lies below one that is. */
function isInContainer(proc: string, ids: readonly string[]): boolean {
  const groups = orNothing(() => readText(`${proc}/cgroup`), '');
  return ids.some((id) => groups.includes(id));
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** A process may end while it is looked at, or belong to another user. */
function orNothing<T>(look: () => T, nothing: T): T {
  try {
    return look();
  } catch {
    return nothing;
  }
}
