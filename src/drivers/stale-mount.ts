import { isAppError } from '../model/errors.ts';
import type { DriverCall, DriverVolume } from './driver.ts';
import { answers } from './mount-answers.ts';
import { detachPath, unmountPath } from './mount-point.ts';

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
