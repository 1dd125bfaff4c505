import type { HostInfo } from '../../hosts/host.ts';
import type { MountPoint } from '../../lib/mountinfo.ts';
import { toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import type { Patients } from './patients.ts';

/** A path of this machine on whose storage something depends. */
export interface Place {
  readonly path: string;
  /** What depends on it, for messages. */
  readonly owner: string;
  /** Names of the containers that have it mounted. */
  readonly containers: readonly string[];
}

const servers = /^(?:nfs|cifs|smb|fuse|9p|ceph|glusterfs)/;

/** Every path that is asked for its room, each once: first what applications use, then what the machine does. Pure. */
export function listPlaces(
  { mounts, volumes, path, isAsked }: Patients,
  machine: {
    readonly host: HostInfo | undefined;
    readonly stateDir: string;
    readonly mounts: readonly MountPoint[];
    /** Folders of repositories. */
    readonly repositories: readonly string[];
  },
): Place[] {
  const { host, stateDir, repositories } = machine;
  const places = new Map<string, Place>();
  const add = (place: string | undefined, owner: string, containers: readonly string[] = []): void => {
    if (place === undefined || !place.startsWith('/')) return;
    const known = places.get(place);
    if (known === undefined) places.set(place, { path: place, owner, containers });
    else places.set(place, { ...known, containers: [...new Set([...known.containers, ...containers])] });
  };
  for (const { hostPath, container } of mounts)
    add(hostPath, `container ${quote(container.name)}`, [container.name]);
  if (host?.isRemote !== true)
    for (const { mountpoint, name } of volumes) add(mountpoint, `volume ${quote(name)}`);
  add(path, 'the question');
  if (isAsked) return [...places.values()];
  add(stateDir, 'Holdfast');
  for (const repository of repositories) add(repository, 'a repository');
  if (host?.isRemote !== true) add(host?.dataRoot, 'the container engine');
  for (const mount of machine.mounts) if (servers.test(mount.type)) add(toText(mount.path), 'this machine');
  return [...places.values()];
}
