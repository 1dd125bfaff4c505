import { constants, ftruncateSync, readdirSync, statfsSync } from 'node:fs';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { filesystemType } from '../../lib/filesystem-type.ts';
import { withoutName } from '../../lib/nameless-file.ts';
import { closeQuickly, openAt, reopen, unlinkAt } from '../../lib/posix-at.ts';
import { removeTreeIn } from '../../lib/remove-tree.ts';
import { runProgram } from '../../lib/run-program.ts';
import { isBenchName, newBenchName } from '../../lib/stage-names.ts';
import { type ByteString, fromBytes, toPath } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';

/** A file to measure. It is gone when it is closed, and takes no room from then on. */
export interface TestFile extends Disposable {
  readonly fd: number;
  readonly isDirect: boolean;
}

/** Where test files are made. */
export interface TestPlace {
  /** The volume's root for files without a name, or else a folder of the benchmark's own. */
  readonly folder: DirectoryHandle;
  /** False where no container can put a link in its place, and the file ends with this process. */
  readonly isNamed: boolean;
}

const { ext4, xfs, btrfs, tmpfs } = filesystemType;
const nfs = 0x6969;
const commitsNameless = new Set<number>([ext4, xfs, btrfs, tmpfs, nfs]);

/**
 * False where a file without a name is not like others: ZFS logs none of its writes, so that its commits are
 * free, and F2FS makes a checkpoint for each of them; a program behind FUSE may not find it by then.
 */
export function measuresNameless(root: DirectoryHandle): boolean {
  return commitsNameless.has(statfsSync(toPath(root.self)).type);
}

/** Its blocks are set aside, as fio itself does it for a new file; where they cannot be, it has a hole. */
export async function openTestFile(
  { folder, isNamed }: TestPlace,
  { sizeBytes, signal }: { readonly sizeBytes: number; readonly signal: AbortSignal | undefined },
): Promise<TestFile> {
  using opened = new DisposableStack();
  const name = isNamed ? newBenchName() : undefined;
  const made = name === undefined ? openNameless(folder) : openNew(folder, name);
  if (name !== undefined)
    opened.defer(() => {
      unlinkAt(folder.fd, name);
    });
  const fd = opened.adopt(made, (own) => {
    // A container may have given it another name.
    if (isNamed) ftruncateSync(own, 0);
    closeQuickly(own);
  });
  const args = ['-l', String(sizeBytes), '/proc/self/fd/3'];
  const allocated = await runProgram('fallocate', args, { files: [fd], signal }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    // Not installed, or not for this file system: the size alone is what fio needs.
    return undefined;
  });
  if (allocated?.status !== 0) ftruncateSync(fd, sizeBytes);
  const isDirect = takesDirect(fd);
  const lasting = opened.move();
  return { fd, isDirect, [Symbol.dispose]: () => lasting.dispose() };
}

function openNameless(folder: DirectoryHandle): number {
  try {
    return openAt(folder.fd, '.', withoutName | constants.O_RDWR);
  } catch (error) {
    // NFS and old kernels have no files without a name: it loses its name at once.
    if (!['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  }
  const name = newBenchName();
  const fd = openNew(folder, name);
  unlinkAt(folder.fd, name);
  return fd;
}

function openNew(folder: DirectoryHandle, name: ByteString): number {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  return openAt(folder.fd, name, flags);
}

function takesDirect(fd: number): boolean {
  try {
    closeQuickly(reopen(fd, constants.O_RDWR | constants.O_DIRECT));
    return true;
  } catch {
    return false;
  }
}

/** Removes what killed benchmarks have left. The caller has the volume's lease, so none is at work. */
export async function removeLeftovers(root: DirectoryHandle): Promise<void> {
  for (const bytes of readdirSync(toPath(root.self), { encoding: 'buffer' })) {
    const name = fromBytes(bytes);
    if (isBenchName(name)) await removeTreeIn(root, name);
  }
}
