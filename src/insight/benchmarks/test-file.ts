import { constants, ftruncateSync, readdirSync } from 'node:fs';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { closeQuickly, openAt, reopen, unlinkAt } from '../../lib/posix-at.ts';
import { removeTreeIn } from '../../lib/remove-tree.ts';
import { runProgram } from '../../lib/run-program.ts';
import { isBenchName, newBenchName } from '../../lib/stage-names.ts';
import { fromBytes, toPath } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';

/** A file in a volume that has no name: no container can put a link in its place, and it ends with this process. */
export interface TestFile extends Disposable {
  readonly fd: number;
  readonly isDirect: boolean;
}

/** From linux/fcntl.h. */
const nameless = 0o20000000 | constants.O_DIRECTORY;

/** Its blocks are set aside, as fio itself does it for a new file; where they cannot be, it has a hole. */
export async function openTestFile(
  root: DirectoryHandle,
  { sizeBytes, signal }: { readonly sizeBytes: number; readonly signal: AbortSignal | undefined },
): Promise<TestFile> {
  using opened = new DisposableStack();
  const fd = opened.adopt(openNameless(root), closeQuickly);
  const args = ['-l', String(sizeBytes), '/proc/self/fd/3'];
  const made = await runProgram('fallocate', args, { files: [fd], signal }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    // Not installed, or not for this file system: the size alone is what fio needs.
    return undefined;
  });
  if (made?.status !== 0) ftruncateSync(fd, sizeBytes);
  const isDirect = takesDirect(fd);
  const lasting = opened.move();
  return { fd, isDirect, [Symbol.dispose]: () => lasting.dispose() };
}

function openNameless(root: DirectoryHandle): number {
  try {
    return openAt(root.fd, '.', nameless | constants.O_RDWR);
  } catch (error) {
    // NFS, FUSE and old kernels have no files without a name: it loses its name at once.
    if (!['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  }
  const name = newBenchName();
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openAt(root.fd, name, flags);
  unlinkAt(root.fd, name);
  return fd;
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
