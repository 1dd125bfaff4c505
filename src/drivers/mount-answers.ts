import { runProgram } from '../lib/run-program.ts';
import { AppError, isAppError } from '../model/errors.ts';
import type { DriverCall, DriverHealth, DriverVolume } from './driver.ts';
import { detachPath, unmountPath } from './mount-point.ts';

/** Whether what is mounted answers. */
export const answers = (mountpoint: string): Promise<DriverHealth> => ask('stat', ['-f', '--', mountpoint]);

/**
 * Whether what is mounted can be read: looks at its first entry. A server of NFS 3 may still tell the size of a
 * directory that it has no more. One that root may not read (root_squash) has answered as well.
 */
export async function canBeRead(mountpoint: string): Promise<DriverHealth> {
  const health = await ask('find', [mountpoint, '-maxdepth', '0', '-empty']);
  return health.message?.endsWith('Permission denied') === true
    ? { status: 'good', message: undefined }
    : health;
}

const timeoutMs = 4000;

/** By another process: one that asks a dead server hangs for good. */
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

/** Unmounts; a mount that does not answer any more is taken away even while it is used: who uses it sees errors already. */
export async function unmountOrDetach(volume: DriverVolume, call?: DriverCall): Promise<void> {
  const { status } = await answers(volume.mountpoint);
  if (status === 'good' || status === 'degraded') return await unmountPath(volume, call);
  // A file system of the network first waits for its server, to which nobody knows whether it comes back.
  await unmountPath(volume, { ...call, timeoutMs: 10_000 }).catch(async (error: unknown) => {
    if (isAppError(error, 'cancelled')) throw error;
    await detachPath(volume.mountpoint, call);
  });
}

/** Puts in front of an error of something deeper what could not be done, and with which volume. */
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
