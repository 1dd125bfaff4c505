import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountAt, readMounts, type MountPoint } from '../lib/mountinfo.ts';
import { runProgram } from '../lib/run-program.ts';
import { fromText } from '../model/byte-string.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { DriverCall, DriverUsage, DriverVolume } from './driver.ts';
import { explainMountFailure } from './mount-failure.ts';

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** Undefined for bind mounts. */
  readonly type?: string | undefined;
  /** The words of mount's `-o`. */
  readonly words: readonly string[];
  /** For messages. */
  readonly name: string;
  readonly timeoutMs?: number | undefined;
  /** For mount helpers: secrets that no other user may see. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

const mountMs = 60_000;
/** The kernel may still be busy with an image that was just unmounted, or whose mount was killed. */
const imageRest = { tries: 20, eachMs: 100 };
const unmountMs = 60_000;

export async function findMount(path: string): Promise<MountPoint | undefined> {
  return mountAt(await readMounts(), fromText(path));
}

/** Mounts, and verifies it: data must never be written below a mount that is missing. */
export async function mountAtPath(request: MountRequest, call: DriverCall = {}): Promise<void> {
  for (let again = request.words.includes('loop') ? imageRest.tries : 0; ; again--) {
    try {
      return await mountOnce(request, call);
    } catch (error) {
      const isBusy = isAppError(error) && error.code === 'in-use';
      if (!isBusy || again === 0 || (await findMount(request.target)) !== undefined) throw error;
      // If it is cancelled meanwhile, the next try reports that.
      await sleep(imageRest.eachMs, undefined, { signal: call.signal }).catch(() => undefined);
    }
  }
}

async function mountOnce(request: MountRequest, { signal }: DriverCall): Promise<void> {
  const { source, target, type, words, name, timeoutMs = mountMs, env } = request;
  const args = [
    ...(type === undefined ? [] : ['-t', type]),
    ...(words.length === 0 ? [] : ['-o', words.join(',')]),
    '--',
    source,
    target,
  ];
  const { status, stderr } = await runProgram('mount', args, {
    signal,
    timeoutMs,
    env,
    hasHelpers: true,
    debianPackage: 'mount',
  });
  if (status !== 0) throw explainMountFailure({ name, source, type, stderr });
  if ((await findMount(target)) !== undefined) return;
  throw new AppError(
    'failed',
    `Cannot mount volume ${quote(name)}: mount said it was done, and nothing is mounted`,
    {
      detail: stderr === '' ? undefined : stderr,
    },
  );
}

/** Mounts and runs what must follow: when that fails, nothing stays mounted. */
export async function mountThen(
  request: MountRequest,
  follow: () => Promise<void>,
  call: DriverCall = {},
): Promise<void> {
  await mountAtPath(request, call);
  try {
    await follow();
  } catch (error) {
    // The user must see the original error.
    await unmountPath({ name: request.name, mountpoint: request.target }).catch(() => undefined);
    throw error;
  }
}

/** On return nothing is mounted there. `in-use` while a process uses it. */
export async function unmountPath(
  volume: Pick<DriverVolume, 'name' | 'mountpoint'>,
  { signal, timeoutMs = unmountMs }: DriverCall & { readonly timeoutMs?: number | undefined } = {},
): Promise<void> {
  // Several mounts may be stacked.
  for (let round = 0; (await findMount(volume.mountpoint)) !== undefined; round++) {
    const { status, stderr } = await runProgram('umount', ['--', volume.mountpoint], {
      signal,
      timeoutMs,
      hasHelpers: true,
    });
    if (status === 0 && round < 8) continue;
    if ((await findMount(volume.mountpoint)) === undefined) return;
    const isBusy = /busy/i.test(stderr);
    throw new AppError(
      isBusy ? 'in-use' : 'failed',
      `Cannot unmount volume ${quote(volume.name)}: ${isBusy ? 'a program uses it' : stderr || 'umount failed'}`,
      { hint: isBusy ? `See who does: fuser -vm ${volume.mountpoint}` : undefined },
    );
  }
}

/** Detaches a mount that no longer responds; processes that still use it get errors. Throws where it stays. */
export async function detachPath(
  { name, mountpoint }: Pick<DriverVolume, 'name' | 'mountpoint'>,
  { signal }: DriverCall = {},
): Promise<void> {
  const { status, stderr } = await runProgram('umount', ['-l', '--', mountpoint], {
    signal,
    timeoutMs: 10_000,
  });
  if (status === 0 || (await findMount(mountpoint)) === undefined) return;
  throw new AppError('failed', `Cannot unmount volume ${quote(name)}`, { detail: stderr });
}

/** The space reported by the file system at a path. */
export async function roomAt(path: string): Promise<DriverUsage> {
  const { bsize, blocks, bfree, bavail } = await statfs(path);
  return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, freeBytes: bavail * bsize };
}
