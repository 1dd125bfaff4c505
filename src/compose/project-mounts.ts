import { dirname, isAbsolute } from 'node:path';
import { cleanPath } from '../model/clean-path.ts';
import type { Position } from '../model/finding.ts';
import { type Mount, mountDestination } from '../model/mount.ts';
import type { ComposePath, ComposeProject, ComposeService } from './compose-project.ts';
import type { ComposeVolume } from './compose-volume.ts';

/** One thing that a service mounts: of `volumes`, `tmpfs`, `configs` or `secrets`. */
export interface ProjectMount {
  readonly service: ComposeService;
  readonly from: 'volumes' | 'tmpfs' | 'configs' | 'secrets';
  readonly mount: Mount;
  /** The declared volume that it mounts. */
  readonly volume: ComposeVolume | undefined;
  /** As the engine sees it: absolute and clean. */
  readonly destination: string;
  readonly path: ComposePath;
  readonly position: Position;
  /** As it was written; undefined for what comes by `volumes_from`. */
  readonly raw: unknown;
}

/** All mounts of the services that `up` starts, in the order of the project, with those of `volumes_from`. */
export function mountsOf(project: ComposeProject): ProjectMount[] {
  return [...project.services.values()].flatMap((service) => {
    const own = mountsOfService(project, service);
    if (service.volumesFrom.length === 0) return own;
    const found = new Map(own.map((mount) => [mount.destination, mount]));
    for (const mount of inherited(project, service))
      if (!found.has(mount.destination)) found.set(mount.destination, mount);
    return [...own, ...[...found.values()].filter((mount) => !own.includes(mount))];
  });
}

/** What `volumes_from` gives a service: volumes and bind mounts of another service, not its memory. */
function inherited(project: ComposeProject, service: ComposeService): ProjectMount[] {
  const seen = new Set([service.name]);
  const from = (next: ComposeService): ProjectMount[] =>
    next.volumesFrom.flatMap(({ kind, name, readOnly, path, position }) => {
      const other = kind === 'service' ? project.services.get(name) : undefined;
      if (other === undefined || seen.has(name)) return [];
      seen.add(name);
      const mounts = [...mountsOfService(project, other), ...from(other)];
      return mounts
        .filter(({ from: kindOf, mount }) => kindOf === 'volumes' && mount.type !== 'tmpfs')
        .map((mount) => ({
          ...mount,
          service,
          mount: { ...mount.mount, readOnly: mount.mount.readOnly || readOnly },
          raw: undefined,
          path,
          position,
        }));
    });
  return from(service);
}

function mountsOfService(project: ComposeProject, service: ComposeService): ProjectMount[] {
  const volumes = service.mounts.map(({ mount, raw, path, position }): ProjectMount => {
    const key = mount.type === 'volume' ? mount.source : undefined;
    const volume = key === undefined ? undefined : project.volumes.get(key);
    return {
      service,
      from: 'volumes',
      mount,
      volume,
      destination: destinationOf(mount),
      path,
      position,
      raw,
    };
  });
  const memory = service.tmpfs.map(({ mount, raw, path, position }): ProjectMount => {
    const destination = destinationOf(mount);
    return { service, from: 'tmpfs', mount, volume: undefined, destination, path, position, raw };
  });
  return [
    ...volumes,
    ...memory,
    ...grantsOf(project, service, 'configs'),
    ...grantsOf(project, service, 'secrets'),
  ];
}

/** Compose mounts a config or secret that is a file as that file, for reading alone. */
function grantsOf(
  project: ComposeProject,
  service: ComposeService,
  from: 'configs' | 'secrets',
): ProjectMount[] {
  return service[from].flatMap(({ source, destination, path, position }) => {
    const file = project[from].get(source)?.file;
    if (file === undefined) return [];
    const mount: Mount = {
      type: 'bind',
      source: file,
      target: destination,
      readOnly: true,
      createSource: false,
    };
    return [
      {
        service,
        from,
        mount,
        volume: undefined,
        destination: destinationOf(mount),
        path,
        position,
        raw: source,
      },
    ];
  });
}

function destinationOf(mount: Mount): string {
  const destination = mountDestination(mount);
  return destination.startsWith('/') ? destination : `/${destination}`;
}

/**
 * The folder that a volume of Docker's own driver binds: `type: none, o: bind, device: /srv/data`. Undefined for
 * other volumes.
 */
export function boundDeviceOf({ driver, options }: ComposeVolume): string | undefined {
  const words = (options['o'] ?? '').split(',');
  const isBind = words.includes('bind') || words.includes('rbind');
  const device = options['device'];
  return (driver ?? 'local') === 'local' && isBind && device !== undefined && device !== ''
    ? device
    : undefined;
}

/** The mounts that lie inside of another one of the same service, with the nearest around them. */
export function nestedMounts(
  mounts: readonly ProjectMount[],
): { inner: ProjectMount; outer: ProjectMount }[] {
  const byPlace = new Map(mounts.map((mount) => [placeKey(mount.service.name, mount.destination), mount]));
  return mounts.flatMap((inner) => {
    for (let above = dirname(inner.destination); above !== '/'; above = dirname(above)) {
      const outer = byPlace.get(placeKey(inner.service.name, above));
      if (outer !== undefined) return [{ inner, outer }];
    }
    return [];
  });
}

/** No path holds a NUL. */
function placeKey(service: string, destination: string): string {
  return `${service}\0${destination}`;
}

/** Where on this machine a mount inside of a bind mount has its place. */
export function placeInside({
  inner,
  outer,
}: {
  inner: ProjectMount;
  outer: ProjectMount;
}): string | undefined {
  if (outer.mount.type !== 'bind') return undefined;
  return cleanPath(`${outer.mount.source}/${inner.destination.slice(outer.destination.length)}`);
}

/** Absolute paths of this machine that a project names, each once. */
export function pathsOf(project: ComposeProject): string[] {
  const mounts = mountsOf(project);
  const places = nestedMounts(mounts).map((nested) => placeInside(nested) ?? '');
  const sources = mounts.flatMap(({ mount }) => (mount.type === 'bind' ? [mount.source] : []));
  const devices = [...project.volumes.values()].flatMap((volume) =>
    volume.external ? [] : [boundDeviceOf(volume) ?? ''],
  );
  return [...new Set([...sources, ...places, ...devices].filter(isAbsolute).map(cleanPath))];
}
