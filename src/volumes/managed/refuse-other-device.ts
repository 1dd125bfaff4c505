import { resolve } from 'node:path';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { hasLastingInodes } from '../../lib/filesystem-type.ts';
import { knownError } from '../../lib/known-error.ts';
import { isSameFile, openTrusted } from '../../lib/open-trusted.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Storage } from './embedded-parts.ts';

/**
 * For what Holdfast itself writes to a mounted volume. mount(8) looks a bind volume's device up by its path: the user who
 * owns the folder above can lead it to any directory of this machine. Throws `denied` for a symbolic link on the way that
 * another user can change, and `conflict` when something else is mounted than what the path leads to.
 */
export function refuseOtherDevice({ driver, volume }: Storage): void {
  const { device } = volume.options;
  if (driver.kind !== 'bind' || device === undefined) return;
  const cannot = `Cannot write to volume ${quote(volume.name)}`;
  try {
    using wanted = openTrusted(fromText(resolve(device)));
    using mounted = DirectoryHandle.open(fromText(volume.mountpoint));
    if (isSameFile(wanted.stat(), mounted.stat()) || !hasLastingInodes(mounted.self)) return;
  } catch (error) {
    throw knownError(error, cannot);
  }
  throw new AppError(
    'conflict',
    `${cannot}: another directory is mounted than ${quote(device)}, which was moved or replaced`,
    { hint: 'Stop what uses the volume, so that it is mounted anew.' },
  );
}
