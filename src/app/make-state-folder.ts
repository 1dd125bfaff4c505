import { makeFolders } from '../lib/make-folders.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

const reasons: Readonly<Record<string, string>> = {
  EEXIST: 'it is a file, not a folder',
  ENOTDIR: 'a part of that path is a file, not a folder',
  EACCES: 'access is refused',
  EPERM: 'access is refused',
  EROFS: 'its file system is read-only',
  ENOSPC: 'the disk is full',
  ENOENT: 'nobody can make a folder there',
};

/** For all that Holdfast remembers. It may be there already. */
export async function makeStateFolder(stateDir: string): Promise<void> {
  try {
    await makeFolders(stateDir, { mode: 0o700 });
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    const code = errno === 'EACCES' || errno === 'EPERM' ? 'denied' : errno === 'ENOSPC' ? 'full' : 'failed';
    const text = error instanceof Error ? error.message : String(error);
    throw new AppError(code, `Cannot make the state folder ${quote(stateDir)}: ${reasons[errno] ?? text}`, {
      hint: 'Choose another with --state-dir or HOLDFAST_STATE_DIR.',
      cause: error,
    });
  }
}
