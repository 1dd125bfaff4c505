import type { Container } from '../hosts/containers.ts';
import { mountAt, type MountPoint, readMounts } from '../lib/mountinfo.ts';

/** All but the container that this process runs in: to pause that one would be to wait for ever. */
export async function withoutOwn(containers: readonly Container[]): Promise<Container[]> {
  const own = await ownContainer();
  return containers.filter(({ id }) => id !== own);
}

/** The id of the container that this process runs in; undefined when it runs in none. */
export async function ownContainer(): Promise<string | undefined> {
  return ownContainerId(await readMounts().catch(() => []));
}

/** Engines mount a file of the container's own folder at a place that is no mount elsewhere; pure. */
export function ownContainerId(mounts: readonly MountPoint[]): string | undefined {
  for (const path of ['/etc/hostname', '/etc/resolv.conf']) {
    const id = /containers\/([0-9a-f]{64})\//.exec(mountAt(mounts, path)?.root ?? '')?.[1];
    if (id !== undefined) return id;
  }
  return undefined;
}
