import { type FileHandle, open } from 'node:fs/promises';
import koffi from 'koffi';
import { AppError, errnoOf } from '../model/errors.ts';

const flock = koffi.load(null).func('int flock(int fd, int operation)');

const exclusive = 2;
const withoutWaiting = 4;

/** An exclusive hold on a file. The kernel lets it go when the process ends, however it ends. */
export interface FileLock extends AsyncDisposable {
  readonly path: string;
}

export interface FileLockOptions {
  /** Written into the file, for those who find it locked. */
  readonly owner: string;
}

/** Takes the lock, or returns what its holder wrote into the file. Never waits. The folder must exist. */
export async function tryLockFile(
  path: string,
  options: FileLockOptions,
): Promise<FileLock | { readonly heldBy: string }> {
  const file = await open(path, 'a+', 0o600);
  try {
    if (flock(file.fd, exclusive | withoutWaiting) === 0) {
      await writeOwner(file, options);
      return asLock(file, path);
    }
    const errno = koffi.errno();
    if (
      errno !== koffi.os.errno['EWOULDBLOCK'] &&
      errno !== koffi.os.errno['EAGAIN'] &&
      errno !== koffi.os.errno['EINTR']
    ) {
      throw new AppError('failed', `Cannot lock "${path}": error ${errno}`);
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    await file.close();
    return { heldBy: buffer.toString('utf8', 0, bytesRead) };
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
}

/** It is there for who finds the file locked: a full disk, on which there is something to be put right, keeps nobody away. */
async function writeOwner(file: FileHandle, { owner }: FileLockOptions): Promise<void> {
  try {
    await file.truncate(0);
    await file.write(owner);
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** The file stays: to remove it while another waits for it would give two holders. */
function asLock(file: FileHandle, path: string): FileLock {
  return {
    path,
    async [Symbol.asyncDispose]() {
      await file.truncate(0).catch(() => {});
      await file.close();
    },
  };
}
