import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { knownError } from '../../lib/known-error.ts';
import { type MountPoint, mountAt, mountOver, readMounts } from '../../lib/mountinfo.ts';
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
 * How long dockerd may take to unmount what a former life of the plugin has mounted. It tries to connect half a second
 * after the start of a plugin, then three times every three seconds, and sends no request before.
 */
const cleanUpMs = 2500;
/** Since the start of this process: dockerd disables a plugin that it cannot connect to after 12.5 seconds. */
const servesWithinMs = 6000;
const lookAgainMs = 50;
/** Before Linux 5.8 a line may be missing where other mounts come and go while the list is read. */
const looksAtMost = 3;

/**
 * A dockerd that starts after a crash ends the plugin's former life, starts the next one, and at the same time unmounts
 * all below the plugin's folder, the propagated mount too. Throws where that one was gone when runc bound it for this
 * life, which then has a mount without peers: the engine starts a plugin that ends anew, and mounts another one for it.
 * Where a former life has left the state folder shown, waits for dockerd to take that away, as it still may. Call this
 * before the plugin serves anything.
 */
export async function untilCleanedUp(shown: ShownState): Promise<void> {
  await requireSeen(shown);
  const until = Math.min(performance.now() + cleanUpMs, servesWithinMs);
  if (mountAt(await readMounts(), fromText(shown.stateDir)) === undefined) return;
  do {
    await sleep(lookAgainMs);
    await requireSeen(shown);
  } while (performance.now() < until);
}

/** Throws when nothing that is mounted here reaches the engine any more; only another life of the plugin mends that. */
export async function requireSeen(shown: ShownState): Promise<void> {
  for (let looks = 1; !(await isSeen(shown)); looks++) {
    if (looks === looksAtMost) throw unseen();
    await sleep(lookAgainMs);
  }
}

async function isSeen({ stateDir }: ShownState): Promise<boolean> {
  const below = mountOver(await readMounts(), fromText(path.dirname(stateDir)));
  // The plugin's shim, which resolves the paths that containers are given, and has the mounts of the engine.
  const engine = await readMounts(process.ppid).catch(() => undefined);
  // Without the right to look, nothing is known.
  if (engine === undefined || below === undefined) return true;
  return engine.some(({ peerGroup }) => peerGroup !== undefined && peerGroup === below.peerGroup);
}

function unseen(): AppError {
  return new AppError('failed', 'The engine has taken away the mount by which it sees the volumes', {
    detail: 'It does so when it starts after a crash, and starts the plugin again.',
    hint: 'Try again in some seconds.',
  });
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
