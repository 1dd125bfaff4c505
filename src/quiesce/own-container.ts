import type { Container } from '../hosts/containers.ts';
import { mountAt, type MountPoint, readMounts } from '../lib/mountinfo.ts';

/** All but the container that this process runs in: pausing that one would be waiting forever. */
export async function withoutOwn(containers: readonly Container[]): Promise<Container[]> {
  const own = await ownContainer();
  return containers.filter(({ id }) => id !== own);
}

/** The id of the container that this process runs in; undefined outside of containers. */
export async function ownContainer(): Promise<string | undefined> {
  return ownContainerId(await readMounts().catch(() => []));
}

/** Engines mount files of the container's own folder at paths that are no mount points elsewhere; pure. */
export function ownContainerId(mounts: readonly MountPoint[]): string | undefined {
  for (const path of ['/etc/hostname', '/etc/resolv.conf']) {
    const id = /containers\/([0-9a-f]{64})\//.exec(mountAt(mounts, path)?.root ?? '')?.[1];
    if (id !== undefined) return id;
  }
  return undefined;
}
