import { readlinkSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { type ByteString, toPath, toText } from '../model/byte-string.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { type MountPoint, mountOver, readMounts } from './mountinfo.ts';
import { runProgram } from './run-program.ts';

export interface AnswerQuestion {
  /** Name of the volume, for the message. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
  readonly patienceMs?: number | undefined;
  /** This process's own by default. */
  readonly mounts?: readonly MountPoint[] | undefined;
}

const patienceMs = 10_000;

/**
 * Throws `unavailable` when a directory lies on a server, or behind a program, that does not respond: a
 * thread that accesses it would hang for good, and the command with it. So another process tries first.
 * Symbolic links are followed. Costs next to nothing for local disks.
 */
export async function requireAnswer(root: ByteString, question: AnswerQuestion): Promise<void> {
  const place = ofDescriptor(root);
  if (!(await leadsToServer(question.mounts ?? (await readMounts()), place))) return;
  const { name, signal, patienceMs: timeoutMs = patienceMs } = question;
  try {
    await runProgram('find', ['-H', toText(place), '-maxdepth', '0', '-empty'], { timeoutMs, signal });
  } catch (error) {
    // Without that program nothing can try first: a server that responds is still read.
    if (isAppError(error, 'unsupported')) return;
    if (!isAppError(error, 'unavailable')) throw error;
    const message = `Cannot read ${quote(name)}: its storage did not answer within ${Math.round(timeoutMs / 1000)} seconds`;
    throw new AppError('unavailable', message, {
      hint: 'Look whether its server can be reached, or unmount it (umount -l) and mount it again.',
      cause: error,
    });
  }
}

/**
 * Other processes cannot use a path through this one's descriptor; reading its link does not access the file
 * system.
 */
function ofDescriptor(root: ByteString): ByteString {
  const [descriptor] = /^\/proc\/self\/fd\/\d+/.exec(root) ?? [];
  if (descriptor === undefined) return root;
  return readlinkSync(toPath(descriptor), { encoding: 'latin1' });
}

const mostLinks = 40;

/**
 * True when the way to a path, symbolic links included, reaches a mount that may hang. Never accesses such a
 * mount.
 */
export async function leadsToServer(mounts: readonly MountPoint[], path: ByteString): Promise<boolean> {
  const left = path.split('/').filter(isName);
  let place: ByteString = '/';
  for (let links = 0; links <= mostLinks;) {
    if (mayHang(mounts, place)) return true;
    const name = left.shift();
    if (name === undefined) return false;
    const next = name === '..' ? place.slice(0, place.lastIndexOf('/')) || '/' : childOf(place, name);
    const target = mayHang(mounts, next) ? undefined : await linkAt(next);
    if (target === undefined) {
      place = next;
      continue;
    }
    links++;
    if (target.startsWith('/')) place = '/';
    left.unshift(...target.split('/').filter(isName));
  }
  return false;
}

function isName(name: ByteString): boolean {
  return name !== '' && name !== '.';
}

function childOf(folder: ByteString, name: ByteString): ByteString {
  return `${folder === '/' ? '' : folder}/${name}`;
}

/** The target of a symbolic link; undefined for everything else. */
async function linkAt(path: ByteString): Promise<ByteString | undefined> {
  return await readlink(toPath(path), { encoding: 'latin1' }).catch(() => undefined);
}

/** An automount asks its server at the first look. */
const servers =
  /^(?:autofs|nfs|cifs|smb|fuse|9p|ceph|afs|lustre|glusterfs|gfs2|ocfs2|virtiofs|beegfs|orangefs)/;

/** Decides by the mount that a path lies on; pure. */
export function mayHang(mounts: readonly MountPoint[], path: ByteString): boolean {
  const covering = mountOver(mounts, path);
  return covering !== undefined && servers.test(covering.type);
}
