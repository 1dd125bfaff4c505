import { cleanPath } from '../../model/clean-path.ts';
import type { Position } from '../../model/finding.ts';
import type { ComposeProject } from '../compose-project.ts';
import type { ProjectFacts } from '../project-facts.ts';
import { boundDeviceOf, mountsOf, type ProjectMount } from '../project-mounts.ts';
import { isFileMeant } from '../check/sources.ts';
import { uncoveredVolumes } from '../graph/storage-graph.ts';

/**
 * Whether something saves the data; undefined where that is not known. `wanted` and `left-out` are what
 * `x-holdfast` says of a volume that is not there yet.
 */
export type Protection =
  | {
      readonly state: 'protected' | 'unprotected' | 'cache' | 'wanted' | 'left-out';
      readonly policies: readonly string[];
    }
  | undefined;

/** One mount in facts, from which each language makes its sentence. */
export interface ExplainedMount {
  readonly service: string;
  /** The path in the container. */
  readonly target: string;
  readonly kind:
    | 'volume'
    | 'external'
    | 'anonymous'
    | 'folder'
    | 'file'
    | 'memory'
    | 'config'
    | 'secret'
    | 'other';
  /** The volume's name, or what is mounted; undefined for memory and anonymous volumes. */
  readonly name: string | undefined;
  /** Where the data lies: the engine's own folder, a path of the machine, a server or device, the memory. */
  readonly place: 'engine' | 'path' | 'remote' | 'memory' | 'driver';
  /** The path, server or driver; undefined for the engine's folder where that is unknown, and for memory. */
  readonly where: string | undefined;
  /** Services that may write to it. */
  readonly writers: readonly string[];
  /** Whether the data is still there, and found again, after `down` and the next `up`. */
  readonly survivesDown: boolean;
  /** The same for `down -v`. */
  readonly survivesDownVolumes: boolean;
  readonly isMissing: boolean;
  readonly protection: Protection;
  readonly position: Position;
}

/** Protection by the volume's name or the path of the machine. */
export type KnownProtection = ReadonlyMap<string, Exclude<Protection, undefined>>;

export interface ProtectionFacts {
  readonly known: KnownProtection;
  /** What `x-holdfast` names for a volume of a service: policies, or `false` for no backup. */
  readonly wanted: (volume: string, service: string) => readonly string[] | false | undefined;
}

/** Each mount of the services that `up` starts. Pure. */
export function explainMounts(
  project: ComposeProject,
  facts: ProjectFacts,
  { known, wanted }: ProtectionFacts,
): ExplainedMount[] {
  const mounts = mountsOf(project);
  const writers = Map.groupBy(
    mounts.filter(({ mount }) => !mount.readOnly),
    sourceKey,
  );
  const explained = mounts.map((mount): ExplainedMount => {
    const data = dataOf(mount, facts);
    const writing = (writers.get(sourceKey(mount)) ?? []).map(({ service }) => service.name);
    const key = data.place === 'path' && mount.volume === undefined ? data.where : mount.volume?.name;
    return {
      service: mount.service.name,
      target: mount.destination,
      ...data,
      isMissing: data.place === 'path' && facts.paths.get(data.where ?? '')?.kind === 'missing',
      writers: [...new Set(writing)],
      protection: (key === undefined ? undefined : known.get(key)) ?? wantedOf(mount, wanted),
      position: mount.position,
    };
  });
  return [...explained, ...undeclared(project, mounts, facts)];
}

function wantedOf({ volume, service }: ProjectMount, wanted: ProtectionFacts['wanted']): Protection {
  const policies = volume === undefined ? undefined : wanted(volume.key, service.name);
  if (policies === false) return { state: 'left-out', policies: [] };
  return policies === undefined ? undefined : { state: 'wanted', policies };
}

/** What two mounts of the same data have in common. */
function sourceKey({ service, mount, volume, destination }: ProjectMount): string {
  if (volume !== undefined) return `volume ${volume.key}`;
  if (mount.type === 'bind') return `path ${cleanPath(mount.source)}`;
  return `own ${service.name}\0${destination}`;
}

type Data = Pick<
  ExplainedMount,
  'kind' | 'name' | 'place' | 'where' | 'survivesDown' | 'survivesDownVolumes'
>;

const kept = { survivesDown: true, survivesDownVolumes: true };
const lost = { survivesDown: false, survivesDownVolumes: false };
const keptUntilVolumesGo = { survivesDown: true, survivesDownVolumes: false };

function dataOf(whole: ProjectMount, facts: ProjectFacts): Data {
  const { from, mount, volume, raw } = whole;
  if (mount.type === 'tmpfs')
    return { kind: 'memory', name: undefined, place: 'memory', where: undefined, ...lost };
  if (mount.type === 'bind') {
    const where = cleanPath(mount.source);
    const granted = from === 'configs' ? 'config' : from === 'secrets' ? 'secret' : undefined;
    const there = facts.paths.get(where)?.kind;
    const isFile = there === 'file' || (there !== 'folder' && isFileMeant(whole));
    const kind = granted ?? (isFile ? 'file' : 'folder');
    return { kind, name: granted === undefined ? where : String(raw), place: 'path', where, ...kept };
  }
  if (mount.type !== 'volume')
    return { kind: 'other', name: mount.source, place: 'driver', where: mount.type, ...kept };
  if (volume === undefined) return anonymousData(facts);
  const existing = facts.volumes?.get(volume.name);
  const options = volume.external ? (existing?.options ?? {}) : volume.options;
  const driver = volume.driver ?? existing?.driver ?? 'local';
  const kind = volume.external ? 'external' : 'volume';
  const life = volume.external ? kept : keptUntilVolumesGo;
  const { name } = volume;
  if (driver !== 'local') return { kind, name, place: 'driver', where: driver, ...life };
  const device = boundDeviceOf({ ...volume, driver, options });
  // Removing such a volume leaves what it shows.
  if (device !== undefined) return { kind, name, place: 'path', where: cleanPath(device), ...kept };
  if (options['type'] === 'tmpfs') return { kind, name, place: 'memory', where: undefined, ...lost };
  if (options['device'] !== undefined && options['device'] !== '')
    return { kind, name, place: 'remote', where: options['device'], ...kept };
  return { kind, name, ...enginePlace(facts), ...life };
}

function anonymousData(facts: ProjectFacts): Data {
  // It stays after "down", but the next container gets a new one.
  return { kind: 'anonymous', name: undefined, ...enginePlace(facts), ...lost };
}

function enginePlace({ engineFolder }: ProjectFacts): Pick<Data, 'place' | 'where'> {
  return { place: 'engine', where: engineFolder === undefined ? undefined : `${engineFolder}/volumes` };
}

/** Anonymous volumes that the image's VOLUME makes. */
function undeclared(
  project: ComposeProject,
  mounts: readonly ProjectMount[],
  facts: ProjectFacts,
): ExplainedMount[] {
  const byService = Map.groupBy(mounts, ({ service }) => service.name);
  return [...project.services.values()].flatMap((service) =>
    uncoveredVolumes(service, byService.get(service.name) ?? [], facts).map((target): ExplainedMount => ({
      service: service.name,
      target,
      ...anonymousData(facts),
      isMissing: false,
      writers: [service.name],
      protection: undefined,
      position: project.positionOf(service.path),
    })),
  );
}
