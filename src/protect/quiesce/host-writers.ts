import { readdir, readFile, readlink } from 'node:fs/promises';
import { isWithin } from '../describe-volume.ts';

/** A process that is in no known container and has a file open for writing, or mapped so. */
export interface HostWriter {
  readonly pid: number;
  /** As the kernel calls it: `postgres`. */
  readonly name: string;
  readonly path: string;
}

interface WriterSearch {
  /** Directories of this machine, without symbolic links. */
  readonly roots: readonly string[];
  /** Processes in these containers are known. */
  readonly containerIds: readonly string[];
  readonly signal?: AbortSignal | undefined;
  /** For tests. */
  readonly procDir?: string;
}

const enough = 3;

/**
 * Looks for writers that no container accounts for: a daemon of the machine, a shell with a file open. Sees what this
 * process may see; without root that is its own user's.
 */
export async function findHostWriters(search: WriterSearch): Promise<HostWriter[]> {
  const { procDir = '/proc', signal } = search;
  const found: HostWriter[] = [];
  for (const name of await readdir(procDir).catch(() => [])) {
    signal?.throwIfAborted();
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const path = await writtenPath(`${procDir}/${name}`, search).catch(() => undefined);
    if (path === undefined || (await isInContainer(`${procDir}/${name}`, search.containerIds))) continue;
    found.push({ pid, name: await nameOf(`${procDir}/${name}`), path });
    if (found.length === enough) break;
  }
  return found;
}

/** A file below the roots that a process can write to, or undefined. */
async function writtenPath(proc: string, { roots }: WriterSearch): Promise<string | undefined> {
  const isBelow = (path: string): boolean => roots.some((root) => path !== root && isWithin(path, root));
  for (const fd of await readdir(`${proc}/fd`)) {
    const path = await readlink(`${proc}/fd/${fd}`).catch(() => '');
    if (isBelow(path) && (await isForWriting(`${proc}/fdinfo/${fd}`))) return path;
  }
  // Shared and writable: `7f… rw-s 00000000 08:01 1234   /path`.
  for (const line of (await readFile(`${proc}/maps`, 'utf8')).split('\n')) {
    const [, access = ''] = line.split(' ', 2);
    if (access[1] !== 'w' || access[3] !== 's') continue;
    const path = line.slice(line.indexOf('/'));
    if (line.includes('/') && isBelow(path)) return path;
  }
  return undefined;
}

async function isForWriting(fdinfo: string): Promise<boolean> {
  const flags = /^flags:\s*([0-7]+)/m.exec(await readFile(fdinfo, 'utf8').catch(() => ''))?.[1];
  // The lowest two bits: O_WRONLY or O_RDWR.
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
}

/** Its control group is named after its container, or lies below one that is. */
async function isInContainer(proc: string, ids: readonly string[]): Promise<boolean> {
  const groups = await readFile(`${proc}/cgroup`, 'utf8').catch(() => '');
  return ids.some((id) => groups.includes(id));
}

async function nameOf(proc: string): Promise<string> {
  return (await readFile(`${proc}/comm`, 'utf8').catch(() => '')).trim() || 'a process';
}
