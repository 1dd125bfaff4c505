import { readlinkSync } from 'node:fs';
import { type ByteString, toPath, toText } from '../model/byte-string.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { type MountPoint, readMounts } from './mountinfo.ts';
import { runProgram } from './run-program.ts';

export interface AnswerQuestion {
  /** Of the volume, for the message. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
  readonly patienceMs?: number | undefined;
}

const patienceMs = 10_000;

/**
 * Throws `unavailable` when a directory lies on a server, or behind a program, that does not answer: a thread that asks for
 * it hangs for good, and the command with it. So another process asks first. Costs nothing for disks of this machine.
 */
export async function requireAnswer(root: ByteString, question: AnswerQuestion): Promise<void> {
  const place = ofDescriptor(root);
  if (!mayHang(await readMounts(), place)) return;
  const { name, signal, patienceMs: timeoutMs = patienceMs } = question;
  try {
    await runProgram('find', [toText(place), '-maxdepth', '0', '-empty'], { timeoutMs, signal });
  } catch (error) {
    if (!isAppError(error, 'unavailable')) throw error;
    const message = `Cannot read ${quote(name)}: its storage did not answer within ${Math.round(timeoutMs / 1000)} seconds`;
    throw new AppError('unavailable', message, {
      hint: 'Look whether its server can be reached, or unmount it (umount -l) and mount it again.',
      cause: error,
    });
  }
}

/** Other processes see nothing at a path through this one's descriptor; its link is read without asking the file system. */
function ofDescriptor(root: ByteString): ByteString {
  const [descriptor] = /^\/proc\/self\/fd\/\d+/.exec(root) ?? [];
  if (descriptor === undefined) return root;
  return readlinkSync(toPath(descriptor), { encoding: 'latin1' });
}

const servers = /^(?:nfs|cifs|smb|fuse|9p|ceph|afs|lustre|glusterfs|gfs2|ocfs2|virtiofs|beegfs|orangefs)/;

/** Goes by the mount that a path lies on; pure. */
export function mayHang(mounts: readonly MountPoint[], path: ByteString): boolean {
  let covering: MountPoint | undefined;
  for (const mount of mounts) {
    const isAbove = path === mount.path || path.startsWith(mount.path === '/' ? '/' : `${mount.path}/`);
    // Later mounts cover earlier ones.
    if (isAbove && mount.path.length >= (covering?.path.length ?? 0)) covering = mount;
  }
  return covering !== undefined && servers.test(covering.type);
}
