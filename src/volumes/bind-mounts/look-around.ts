import type { HostInfo } from '../../hosts/host.ts';
import type { Volume } from '../../model/volume.ts';
import type { JobOptions, Protection } from '../../activity/index.ts';
import { type BindMount, listBindMounts } from './bind-mounts.ts';

/** Where containers run, and all that they keep data in. */
export interface Surroundings {
  readonly host: HostInfo;
  readonly volumes: readonly Volume[];
  readonly bindMounts: readonly BindMount[];
}

/** Looks, and changes nothing. */
export async function lookAround(
  { host: openHost, stateDir }: Pick<Protection, 'host' | 'stateDir'>,
  { signal }: JobOptions,
): Promise<Surroundings> {
  const host = await openHost();
  const [info, volumes, containers] = await Promise.all([
    host.info({ signal }),
    host.listVolumes({ signal }),
    host.containers?.list({ signal }) ?? [],
  ]);
  const bindMounts = await listBindMounts(containers, { stateDir, host: info });
  return { host: info, volumes, bindMounts };
}
