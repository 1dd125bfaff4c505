import type { HostAccess } from '../hosts/host.ts';
import { isAppError } from '../model/errors.ts';
import { isWithin } from '../model/clean-path.ts';
import type { Consumer, DataMount } from '../model/volume.ts';
import type { JobOptions } from '../activity/index.ts';

/** The containers that mount a directory or file, or something in it or around it. None without an engine. */
export async function pathConsumers(
  { host }: HostAccess,
  path: string,
  options: JobOptions,
): Promise<Consumer[]> {
  try {
    return consumersOfPath(await (await host()).listMounts({ signal: options.signal }), path);
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return [];
    throw error;
  }
}

/** Pure. */
export function consumersOfPath(mounts: readonly DataMount[], path: string): Consumer[] {
  const touching = mounts.filter(
    (mount) =>
      mount.type === 'bind' &&
      mount.source !== undefined &&
      (isWithin(mount.source, path) || isWithin(path, mount.source)),
  );
  return touching.map((mount) => mount.consumer);
}
