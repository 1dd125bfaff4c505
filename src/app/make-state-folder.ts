import { AppError, errnoOf, errorMessage } from '../model/errors.ts';
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolders } from '../lib/durable-file.ts';
import { whoElseWrites } from '../lib/own-path.ts';
import { quote } from '../model/quote.ts';

const reasons: Readonly<Record<string, string>> = {
  EEXIST: 'it is a file, not a folder',
  ENOTDIR: 'a part of that path is a file, not a folder',
  EACCES: 'access is refused',
  EPERM: 'access is refused',
  EROFS: 'its file system is read-only',
  ENOSPC: 'the disk is full',
  ENOENT: 'no folder can be made there',
};

/**
 * Makes the state folder. An existing one is closed to all but its owner: other users could reach the
 * volumes' data, setuid programs included. Its group may still pass through.
 */
export async function makeStateFolder(stateDir: string): Promise<void> {
  try {
    if ((await makeFolders(stateDir, { mode: 0o700 })) === undefined) await close(stateDir);
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    const code = errno === 'EACCES' || errno === 'EPERM' ? 'denied' : errno === 'ENOSPC' ? 'full' : 'failed';
    const text = errorMessage(error);
    throw new AppError(code, `Cannot make the state folder ${quote(stateDir)}: ${reasons[errno] ?? text}`, {
      hint: 'Choose another with --state-dir or HOLDFAST_STATE_DIR.',
      cause: error,
    });
  }
}

/**
 * A folder that holds something else keeps its mode: it may have been named as the state folder by mistake.
 */
async function close(stateDir: string): Promise<void> {
  await using folder = await open(stateDir, constants.O_RDONLY | constants.O_DIRECTORY);
  const { mode, uid } = await folder.stat();
  if ((mode & 0o067) === 0 || uid !== process.geteuid?.()) return;
  const names = await readdir(`/proc/self/fd/${folder.fd}`);
  if (names.length > 0 && !names.includes('catalog.db')) return;
  if ((await whoElseWrites(dirname(stateDir))) !== undefined) return;
  try {
    await folder.chmod(mode & 0o710);
  } catch (error) {
    // A folder that cannot be changed can still be read.
    if (!['EROFS', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  }
}
