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

interface WrittenPlace {
  /** A directory or file of this machine, without symbolic links. */
  readonly root: string;
  /** Processes in these containers are known. */
  readonly containerIds: readonly string[];
}

interface WriterSearch {
  readonly signal?: AbortSignal | undefined;
  /** For tests. */
  readonly procDir?: string;
}

const enough = 3;

/**
 * Looks for writers outside containers: a daemon of the machine, a shell with a file open; some of each place, in their
 * order. Sees what this process may see; without root, that is its own user's processes. All that they have open is read
 * once for all places.
 */
export async function findHostWriters(
  places: readonly WrittenPlace[],
  { procDir = '/proc', signal }: WriterSearch = {},
): Promise<HostWriter[][]> {
  const found = places.map((place) => ({ ...place, writers: [] as HostWriter[] }));
  const breather = new Breather('looking for writers', signal);
  for (const name of orNothing(() => readdirSync(procDir), [])) {
    const open = found.filter(({ writers }) => writers.length < enough);
    if (open.length === 0) break;
    // Read synchronously: the kernel answers at once, and awaiting each answer would take ten times as long.
    if (breather.isDue()) await breather.breathe();
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const proc = `${procDir}/${name}`;
    const written = writtenPaths(
      proc,
      open.map(({ root }) => root),
    );
    if (written.size === 0) continue;
    const groups = orNothing(() => readText(`${proc}/cgroup`), '');
    const command = orNothing(() => readText(`${proc}/comm`), '').trim() || 'a process';
    for (const { root, containerIds, writers } of open) {
      const path = written.get(root);
      // Its control group is named after its container, or lies below one that is.
      if (path === undefined || containerIds.some((id) => groups.includes(id))) continue;
      writers.push({ pid, name: command, path });
    }
  }
  return found.map(({ writers }) => writers);
}

/** For each root a file below it that a process can write to. */
function writtenPaths(proc: string, roots: readonly string[]): ReadonlyMap<string, string> {
  const written = new Map<string, string>();
  const note = (path: string, isWritten: () => boolean): void => {
    const below = roots.filter((root) => !written.has(root) && isWithin(path, root));
    if (below.length > 0 && isWritten()) for (const root of below) written.set(root, path);
  };
  for (const fd of orNothing(() => readdirSync(`${proc}/fd`), []))
    note(
      orNothing(() => readlinkSync(`${proc}/fd/${fd}`), ''),
      () => isForWriting(`${proc}/fdinfo/${fd}`),
    );
  // Shared and writable: `7f… rw-s 00000000 08:01 1234   /path`.
  const maps = orNothing(() => readText(`${proc}/maps`), '');
  if (!roots.some((root) => maps.includes(root))) return written;
  for (const line of maps.split('\n')) {
    const [, access = ''] = line.split(' ', 2);
    if (access[1] !== 'w' || access[3] !== 's' || !line.includes('/')) continue;
    note(line.slice(line.indexOf('/')), () => true);
  }
  return written;
}

function isForWriting(fdinfo: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(orNothing(() => readText(fdinfo), ''))?.[1];
  // The lowest two bits: O_WRONLY or O_RDWR.
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
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
