import type { Host } from '../hosts/host.ts';
import { AppError, isAppError } from '../model/errors.ts';
import type { RemoveReport, VolumeFailure, VolumeWorkOptions } from './volume-engine.ts';

/** Tries each name, whatever happens to the others. */
export async function removeVolumes(
  host: Host,
  names: readonly string[],
  { force, signal }: VolumeWorkOptions & { readonly force?: boolean },
): Promise<RemoveReport> {
  if (names.length === 0) throw new AppError('usage', 'No volume is named to be removed');
  const removed: string[] = [];
  const missing: string[] = [];
  const failures: VolumeFailure[] = [];
  for (const name of new Set(names)) {
    const error = await removeOne(host, name, signal);
    if (error === undefined) removed.push(name);
    else if (error.code === 'not-found' && force === true) missing.push(name);
    else failures.push({ name, error });
  }
  return { removed, missing, failures };
}

/** The error, where there is one that is about this volume. */
export async function removeOne(
  host: Host,
  name: string,
  signal: AbortSignal | undefined,
): Promise<AppError | undefined> {
  try {
    await host.removeVolume(name, { signal });
    return undefined;
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled' || error.code === 'unavailable') throw error;
    return error;
  }
}
