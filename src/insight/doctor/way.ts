import { constants, readlinkSync } from 'node:fs';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { listXattrs } from '../../lib/posix.ts';
import { closeQuickly, type FileStat, openAt, openFlag, statOpen } from '../../lib/posix-at.ts';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { aclIn, type Guard } from './access.ts';

/** One folder or file on the way to a path, links followed. */
export interface Step {
  /** Below the root of the way; `/` is the root itself. */
  readonly path: ByteString;
  readonly guard: Guard;
  readonly device: bigint;
  readonly inode: bigint;
}

const mostLinks = 40;

/**
 * All that a process goes through to reach `path`, in the root that it sees (`/proc/PID/root`): an absolute
 * link leads back to that root and never out of it. Throws a system error for what is missing.
 */
export function wayTo(root: ByteString, path: ByteString, pass: Pass = () => undefined): Step[] {
  const handles = [DirectoryHandle.open(root)];
  try {
    const steps = [stepOf(handles[0]!.at('.'), '/', handles[0]!.stat())];
    const left = path.split('/').filter(isName);
    for (let links = 0; left.length > 0;) {
      const name = left.shift()!;
      const target = name === '..' ? goUp(handles, steps) : goDown(handles, steps, { name, pass });
      if (target === undefined) continue;
      if (++links > mostLinks) throw Object.assign(new Error(`ELOOP: ${path}`), { code: 'ELOOP' });
      if (target.startsWith('/')) while (steps.length > 1) goUp(handles, steps);
      left.unshift(...target.split('/').filter(isName));
    }
    return steps;
  } finally {
    for (const handle of handles) handle[Symbol.dispose]();
  }
}

/** The root is its own parent. */
function goUp(handles: DirectoryHandle[], steps: Step[]): undefined {
  if (steps.length === 1) return;
  steps.pop();
  handles.pop()?.[Symbol.dispose]();
}

/** Called with each folder in which a name is looked up, and with the owner of what has it, links included. */
type Pass = (folder: Guard, owner: number | undefined) => void;

/** Goes to a name in the last folder, or gives the target of the link that has it. */
function goDown(
  handles: DirectoryHandle[],
  steps: Step[],
  { name, pass }: { readonly name: ByteString; readonly pass: Pass },
): ByteString | undefined {
  const folder = handles.at(-1)!;
  if (!steps.at(-1)!.guard.isDirectory)
    throw Object.assign(new Error(`ENOTDIR: ${steps.at(-1)!.path}`), { code: 'ENOTDIR' });
  const fd = openToPass(folder, name, () => pass(steps.at(-1)!.guard, undefined));
  try {
    const stat = statOpen(fd);
    pass(steps.at(-1)!.guard, Number(stat.uid));
    if (stat.isSymbolicLink()) return readlinkSync(toPath(folder.at(name)), { encoding: 'latin1' });
    const above = steps.at(-1)!.path;
    steps.push(stepOf(folder.at(name), above === '/' ? `/${name}` : `${above}/${name}`, stat));
    handles.push(stat.isDirectory() ? folder.openChild(name) : folder.openChild('.'));
    return undefined;
  } finally {
    closeQuickly(fd);
  }
}

function openToPass(folder: DirectoryHandle, name: ByteString, missing: () => void): number {
  try {
    return openAt(folder.fd, name, openFlag.path | constants.O_NOFOLLOW);
  } catch (error) {
    missing();
    throw error;
  }
}

function stepOf(at: ByteString, path: ByteString, stat: FileStat): Step {
  return { path, guard: guardOf(at, stat), device: stat.dev, inode: stat.ino };
}

/** `at` is a path through an open folder; a link at its end is not followed. */
export function guardOf(at: ByteString, stat: FileStat): Guard {
  return {
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mode: Number(stat.mode) & 0o7777,
    isDirectory: stat.isDirectory(),
    acl: aclAt(at),
  };
}

function aclAt(at: ByteString): Guard['acl'] {
  try {
    return aclIn(listXattrs(at));
  } catch {
    // Attributes that cannot be read are as good as none: the mode says the most that they allow.
    return undefined;
  }
}

function isName(name: ByteString): boolean {
  return name !== '' && name !== '.';
}
