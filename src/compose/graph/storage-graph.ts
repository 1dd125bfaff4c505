import { relative } from 'node:path';
import { cleanPath, isWithin } from '../../model/clean-path.ts';
import { formatWholeSize } from '../../model/size.ts';
import type { ComposeProject, ComposeService } from '../compose-project.ts';
import type { ComposeVolume } from '../compose-volume.ts';
import type { ProjectFacts } from '../project-facts.ts';
import { boundDeviceOf, mountsOf, type ProjectMount } from '../project-mounts.ts';

/** Where the data of a stack lies, through which volumes, and which services mount it: three columns. */
export interface StorageGraph {
  readonly project: string;
  readonly places: readonly GraphPlace[];
  readonly volumes: readonly GraphVolume[];
  readonly services: readonly GraphService[];
}

export type PlaceKind = 'engine' | 'folder' | 'device' | 'server' | 'memory' | 'image' | 'elsewhere';

/** A place on the host or behind it. */
export interface GraphPlace {
  readonly id: string;
  readonly kind: PlaceKind;
  readonly label: string;
  /** True for a folder or file that is not there. */
  readonly isMissing: boolean;
}

export interface GraphVolume {
  readonly id: string;
  readonly kind: 'named' | 'external' | 'anonymous';
  /** The name at the engine; for an anonymous one, what it is. */
  readonly label: string;
  readonly driver: string;
  /** The id of its place. */
  readonly place: string;
}

export interface GraphService {
  readonly id: string;
  readonly label: string;
  readonly image: string | undefined;
  readonly mounts: readonly GraphMount[];
}

export interface GraphMount {
  /** The path in the container. */
  readonly target: string;
  /** The id of a volume, or of a place for bind mounts and memory. */
  readonly from: string;
  readonly readOnly: boolean;
}

/** Pure. With an engine that has the images, anonymous volumes of their VOLUME lines are in it too. */
export function buildGraph(project: ComposeProject, facts: ProjectFacts): StorageGraph {
  const places = new Map<string, GraphPlace>();
  const volumes = new Map<string, GraphVolume>();
  const byService = Map.groupBy(mountsOf(project), ({ service }) => service.name);
  const placeFor = (place: Omit<GraphPlace, 'id'>): string => {
    const key = `${place.kind} ${place.label}`;
    const id = places.get(key)?.id ?? `place${places.size + 1}`;
    places.set(key, { id, ...place });
    return id;
  };
  const volumeFor = (key: string, volume: () => Omit<GraphVolume, 'id'>): string => {
    const known = volumes.get(key);
    if (known !== undefined) return known.id;
    const id = `volume${volumes.size + 1}`;
    volumes.set(key, { id, ...volume() });
    return id;
  };
  const anonymous = (service: string, target: string): string =>
    volumeFor(`anonymous ${service}\0${target}`, () => ({
      kind: 'anonymous',
      label: 'anonymous volume',
      driver: 'local',
      place: placeFor(enginePlace(facts)),
    }));
  const sourceOf = (mount: ProjectMount): string => {
    if (mount.volume !== undefined) {
      const { volume } = mount;
      return volumeFor(`declared ${volume.key}`, () =>
        namedVolume(volume, placeFor(placeOfVolume(volume, project, facts))),
      );
    }
    if (mount.mount.type === 'volume') return anonymous(mount.service.name, mount.destination);
    return placeFor(placeOfMount(mount, project, facts));
  };
  const services = [...project.services.values()].map((service, index): GraphService => {
    const own = byService.get(service.name) ?? [];
    const mounts = own.map((mount) => ({
      target: mount.destination,
      from: sourceOf(mount),
      readOnly: mount.mount.readOnly,
    }));
    const undeclared = uncoveredVolumes(service, own, facts).map((target) => ({
      target,
      from: anonymous(service.name, target),
      readOnly: false,
    }));
    return {
      id: `service${index + 1}`,
      label: service.name,
      image: service.image,
      mounts: [...mounts, ...undeclared],
    };
  });
  return { project: project.name, places: [...places.values()], volumes: [...volumes.values()], services };
}

/** Paths for which the image has VOLUME and the file has nothing. */
export function uncoveredVolumes(
  service: ComposeService,
  mounts: readonly ProjectMount[],
  { images }: Pick<ProjectFacts, 'images'>,
): string[] {
  const taken = new Set(mounts.map(({ destination }) => destination));
  const declared = (images.get(service.name)?.volumes ?? []).map(cleanPath);
  return [...new Set(declared)].filter((path) => !taken.has(path));
}

type Place = Omit<GraphPlace, 'id'>;

function enginePlace({ engineFolder }: ProjectFacts): Place {
  const label = engineFolder === undefined ? "the engine's volumes" : `${engineFolder}/volumes`;
  return { kind: 'engine', label, isMissing: false };
}

function namedVolume({ name, external, driver }: ComposeVolume, place: string): Omit<GraphVolume, 'id'> {
  return {
    kind: external ? 'external' : 'named',
    label: name,
    driver: driver ?? (external ? '' : 'local'),
    place,
  };
}

function placeOfVolume(volume: ComposeVolume, project: ComposeProject, facts: ProjectFacts): Place {
  const existing = facts.volumes?.get(volume.name);
  const driver = volume.driver ?? existing?.driver ?? 'local';
  const options = volume.external ? (existing?.options ?? {}) : volume.options;
  const device = options['device'];
  if (driver !== 'local')
    return {
      kind: 'elsewhere',
      label: `driver ${driver}${device === undefined ? '' : `, ${device}`}`,
      isMissing: false,
    };
  const bound = boundDeviceOf({ ...volume, driver, options });
  if (bound !== undefined) return folderPlace(bound, project, facts);
  const type = options['type'] ?? '';
  if (type === 'tmpfs') return { kind: 'memory', label: 'memory', isMissing: false };
  if (device === undefined || device === '') return enginePlace(facts);
  if (!/^(?:nfs4?|cifs|smb3?|sshfs)$/.test(type)) return { kind: 'device', label: device, isMissing: false };
  const server = /(?:^|,)addr=([^,]*)/.exec(options['o'] ?? '')?.[1] ?? '';
  return {
    kind: 'server',
    label: `${type} ${device.startsWith(':') ? server : ''}${device}`,
    isMissing: false,
  };
}

function placeOfMount({ mount }: ProjectMount, project: ComposeProject, facts: ProjectFacts): Place {
  if (mount.type === 'tmpfs') {
    const size = mount.sizeBytes === undefined ? '' : `, at most ${formatWholeSize(mount.sizeBytes)}`;
    return { kind: 'memory', label: `memory${size}`, isMissing: false };
  }
  if (mount.type === 'bind') return folderPlace(mount.source, project, facts);
  const source = mount.type === 'volume' ? '' : mount.source;
  return {
    kind: mount.type === 'image' ? 'image' : 'elsewhere',
    label: `${mount.type} ${source}`,
    isMissing: false,
  };
}

/** Folders of the project are shown as they are written: `./config/app.yml`. */
function folderPlace(path: string, { directory }: ComposeProject, { paths }: ProjectFacts): Place {
  const whole = cleanPath(path);
  const isOfProject = directory !== '/' && isWithin(whole, directory);
  const label = isOfProject ? `./${relative(directory, whole)}` : whole;
  return { kind: 'folder', label, isMissing: paths.get(whole)?.kind === 'missing' };
}
