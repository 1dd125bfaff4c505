import { runProgram } from '../lib/run-program.ts';
import { AppError, isAppError } from '../model/errors.ts';
import type { DriverCall, DriverHealth, DriverVolume } from './driver.ts';
import { detachPath, unmountPath } from './mount-point.ts';

export const answers = (mountpoint: string): Promise<DriverHealth> => ask('stat', ['-f', '--', mountpoint]);

/**
 * Whether a mount can be read: reads its first entry. A server of NFS 3 may still return the size of a
 * directory that it no longer has. A refusal to root (root_squash) counts as a response.
 */
export async function canBeRead(mountpoint: string): Promise<DriverHealth> {
  const health = await ask('find', [mountpoint, '-maxdepth', '0', '-empty']);
  return health.message?.endsWith('Permission denied') === true
    ? { status: 'good', message: undefined }
    : health;
}

const timeoutMs = 4000;

/** Uses another process, since one that accesses a dead server hangs for good. */
async function ask(program: string, args: readonly string[]): Promise<DriverHealth> {
  try {
    const { status, stderr } = await runProgram(program, args, { timeoutMs });
    if (status === 0) return { status: 'good', message: undefined };
    return { status: 'failed', message: explain(stderr) };
  } catch (error) {
    if (isAppError(error, 'unavailable'))
      return { status: 'unreachable', message: 'What is mounted does not answer: its server is away' };
    return { status: 'degraded', message: 'It could not be asked' };
  }
}

function explain(stderr: string): string {
  if (/Stale file handle/i.test(stderr)) return 'The server does not know the mount any more (stale handle)';
  if (/not connected/i.test(stderr)) return 'The program behind the mount has ended';
  return stderr.replace(/^(?:stat|find): /, '');
}

/**
 * Unmounts; a mount that no longer responds is detached even while it is used, as its users get errors
 * already.
 */
export async function unmountOrDetach(volume: DriverVolume, call?: DriverCall): Promise<void> {
  const { status } = await answers(volume.mountpoint);
  if (status === 'good' || status === 'degraded') return await unmountPath(volume, call);
  // A network file system first waits for its server, which may never come back.
  await unmountPath(volume, { ...call, timeoutMs: 10_000 }).catch(async (error: unknown) => {
    if (isAppError(error, 'cancelled')) throw error;
    await detachPath(volume, call);
  });
}

/** Prefixes a lower-level error with what could not be done, and with which volume. */
export async function namedVolume<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isAppError(error)) throw error;
    const { code, message, detail, hint } = error;
    const lower = message.slice(0, 1).toLowerCase() + message.slice(1);
    throw new AppError(code, `${action}: ${lower}`, { detail, hint, cause: error });
  }
}
