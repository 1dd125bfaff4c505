import { mkdir } from 'node:fs/promises';
import { knownError } from '../../lib/known-error.ts';
import { type MountPoint, mountAt, readMounts } from '../../lib/mountinfo.ts';
import { runProgram } from '../../lib/run-program.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';

/** For a managed plugin, which is a container: the engine sees only mounts below its propagated mount. */
export interface ShownState {
  /** The state folder, below the propagated mount. */
  readonly stateDir: string;
  /** The host's folder that is shown there, itself a mount of the plugin. */
  readonly from: string;
}

/**
 * Binds the host's state folder, with all present and future mounts in it, where the engine sees it, unless
 * that is done already: the mount survives the plugin's death. Nothing may be written into the state folder
 * before: without the mount it is a folder of the plugin, and is removed with it. Throws unless the mount is
 * there on return.
 */
export async function showState({ stateDir, from }: ShownState): Promise<void> {
  const mounts = await readMounts();
  const source = mountAt(mounts, fromText(from));
  if (source === undefined) {
    throw new AppError('usage', `Cannot use ${quote(from)}: it is no mount of the plugin`, {
      hint: 'Name the place where the plugin has the state folder of the host.',
    });
  }
  if (isShown(mounts, { stateDir, source })) return;
  await mkdir(stateDir, { recursive: true }).catch((error: unknown) => {
    throw knownError(error, `Cannot make ${quote(stateDir)}`);
  });
  const { status, stderr } = await runProgram('mount', ['--rbind', '--', from, stateDir]);
  if (status === 0 && isShown(await readMounts(), { stateDir, source })) return;
  throw new AppError('failed', `Cannot show the state folder at ${quote(stateDir)}`, { detail: stderr });
}

function isShown(
  mounts: readonly MountPoint[],
  { stateDir, source }: { readonly stateDir: string; readonly source: MountPoint },
): boolean {
  const shown = mountAt(mounts, fromText(stateDir));
  if (shown === undefined) return false;
  if (shown.device === source.device && shown.root === source.root) return true;
  throw new AppError('conflict', `Another folder than the state folder is shown at ${quote(stateDir)}`, {
    hint: 'Disable the plugin and enable it again: "docker plugin disable -f", "docker plugin enable".',
  });
}
