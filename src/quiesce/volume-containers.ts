import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Container, ContainerMount } from '../hosts/containers.ts';
import type { HostAccess, HostScope } from '../hosts/host.ts';
import { type MountPoint, readMounts } from '../lib/mountinfo.ts';
import { requireAnswer } from '../lib/require-answer.ts';
import { fromText } from '../model/byte-string.ts';
import { isAppError } from '../model/errors.ts';
import type { Consumer, Volume } from '../model/volume.ts';
import { isWithin } from '../model/clean-path.ts';
import type { JobOptions } from '../activity/index.ts';
import { lookWhenFree } from './hold-apps.ts';
import { withoutOwn } from './own-container.ts';
import { pathConsumers } from './path-consumers.ts';

/** What a host has at one time. */
export interface Surroundings {
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  /** The target of a path's symbolic links, on the engine's machine only; each is resolved once. */
  readonly realPlace: (place: string) => Promise<string>;
}

interface Place {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  /** Only mounts of this exact path count, not of a folder around it. */
  readonly isMountedAlone?: boolean | undefined;
}

/**
 * The containers, running or not, that see a volume's data: by its name, by a bind mount of its folder or of
 * one above or below, or by another volume in the same place. Excludes this process's own container.
 */
export async function volumeContainers(
  access: HostAccess,
  volumeName: string,
  options: JobOptions,
): Promise<Container[]> {
  return await containersOf(access, { kind: 'volume', name: volumeName }, options);
}

/** Like `volumeContainers`, for a directory of this machine. None without an engine. */
export async function pathContainers(
  access: HostAccess,
  directory: string,
  options: JobOptions,
): Promise<Container[]> {
  return await containersOf(access, { kind: 'path', name: directory }, options);
}

/** The same for several places, with one request to the host. */
export async function containersAt(
  access: HostAccess,
  places: readonly Place[],
  options: JobOptions,
): Promise<readonly Container[]> {
  const around = await lookAround(access, places, options);
  const found = new Map<string, Container>();
  for (const place of places)
    for (const container of await consumersOf(around, place, () => true)) found.set(container.id, container);
  return [...found.values()];
}

async function containersOf(access: HostAccess, place: Place, options: JobOptions): Promise<Container[]> {
  return await consumersOf(await lookAround(access, [place], options), place, () => true);
}

/** Those of them, running or not, that could write when they run. */
export async function writersIn(around: Surroundings, place: Place): Promise<Container[]> {
  return await consumersOf(around, place, ({ readOnly }) => !readOnly);
}

/** One request to the host for all places. Directories alone need no engine. */
export async function lookAround(
  access: HostAccess,
  places: readonly Place[],
  { signal }: JobOptions,
): Promise<Surroundings> {
  try {
    const host = await access.host();
    if (host.containers === undefined) return nothingAround;
    const [containers, volumes] = await Promise.all([
      host.containers.list({ signal }),
      host.listVolumes({ signal }),
    ]);
    return { containers: await withoutOwn(containers), volumes, realPlace: openRealPlaces() };
  } catch (error) {
    const isMissing = isAppError(error, 'unavailable') || isAppError(error, 'denied');
    if (isMissing && places.every(({ kind }) => kind === 'path')) return nothingAround;
    throw error;
  }
}

/**
 * Like `lookAround`, once no other Holdfast process has paused what can write to them, so that it can be made
 * still. A container that is then paused was paused by its user, or is held by another process past our
 * patience.
 */
export async function lookAroundFree(
  access: HostScope,
  places: readonly Place[],
  options: JobOptions & { readonly patienceMs?: number | undefined },
): Promise<Surroundings> {
  const around = await lookAround(access, places, options);
  const paused = new Map<string, Container>();
  for (const place of places)
    for (const writer of await writersIn(around, place))
      if (writer.state === 'paused') paused.set(writer.id, writer);
  if (paused.size === 0) return around;
  const look = (): Promise<Surroundings> => lookAround(access, places, options);
  try {
    return await lookWhenFree(access, { containers: [...paused.values()], look }, options);
  } catch (error) {
    if (!isAppError(error, 'locked')) throw error;
    return around;
  }
}

const nothingAround: Surroundings = {
  containers: [],
  volumes: [],
  realPlace: async (place) => path.normalize(place),
};

/** True for one that can write now. */
export function runs({ state }: Container): boolean {
  return state === 'running' || state === 'restarting';
}

/** True for one that can write, or could once it is unpaused. */
export function isActiveContainer(container: Container): boolean {
  return runs(container) || container.state === 'paused';
}

/** For a host that lists consumers, and no containers. */
export async function consumersNow(
  access: HostAccess,
  target: Place,
  options: JobOptions,
): Promise<readonly Consumer[]> {
  if (target.kind === 'path') return await pathConsumers(access, target.name, options);
  const host = await access.host();
  return (await host.findVolume(target.name, { signal: options.signal }))?.consumers ?? [];
}

async function consumersOf(
  { containers, volumes, realPlace }: Surroundings,
  { kind, name, isMountedAlone = false }: Place,
  counts: (mount: ContainerMount) => boolean,
): Promise<Container[]> {
  const volume = kind === 'volume' ? volumes.find((other) => other.name === name) : undefined;
  const places = kind === 'path' ? [name] : volume ? placesOf(volume) : [];
  const real = await Promise.all(places.map(realPlace));
  const isShared = isMountedAlone ? () => false : await sharing({ volumes, realPlace }, real);
  const sees = async (mount: ContainerMount): Promise<boolean> => {
    const { type, source } = mount;
    if (source === undefined || !counts(mount)) return false;
    if (type === 'volume') return (kind === 'volume' && source === name) || isShared(source);
    if (type !== 'bind') return false;
    const place = await realPlace(source);
    return real.some((mine) => (isMountedAlone ? mine === place : overlap(mine, place)));
  };
  const found: Container[] = [];
  for (const container of containers) {
    for (const mount of container.mounts) {
      if (!(await sees(mount))) continue;
      found.push(container);
      break;
    }
  }
  return found;
}

/** The volumes that are the same place, or lie in or around it. */
async function sharing(
  { volumes, realPlace }: Pick<Surroundings, 'volumes' | 'realPlace'>,
  real: readonly string[],
): Promise<(volume: string) => boolean> {
  const shared = new Set<string>();
  for (const volume of volumes) {
    const theirs = await Promise.all(placesOf(volume).map(realPlace));
    if (theirs.some((place) => real.some((mine) => overlap(mine, place)))) shared.add(volume.name);
  }
  return (name) => shared.has(name);
}

/** Where a volume's data lies on the engine's machine; a network share is a place of its own kind. */
export function placesOf(volume: Volume): string[] {
  const { driver, mountpoint, options } = volume;
  const places = mountpoint === undefined ? [] : [mountpoint];
  const device = driver === 'local' ? options['device'] : undefined;
  if (device === undefined || device === '') return places;
  const flags = (options['o'] ?? '').split(',');
  if (flags.includes('bind') || flags.includes('rbind')) places.push(path.normalize(device));
  else if (options['type'] !== 'tmpfs') places.push(`${options['type'] ?? ''}:${addressOf(flags)}:${device}`);
  return places;
}

function addressOf(flags: readonly string[]): string {
  return flags.find((flag) => flag.startsWith('addr='))?.slice('addr='.length) ?? '';
}

function overlap(one: string, other: string): boolean {
  return isWithin(one, other) || isWithin(other, one);
}

function openRealPlaces(): Surroundings['realPlace'] {
  const known = new Map<string, Promise<string>>();
  let mounts: Promise<readonly MountPoint[]> | undefined;
  /** A server that does not answer must not hide the other places. */
  const find = async (place: string): Promise<string> => {
    if (!path.isAbsolute(place)) return place;
    try {
      mounts ??= readMounts();
      await requireAnswer(fromText(place), { name: place, patienceMs: 4000, mounts: await mounts });
      return await realpath(place);
    } catch {
      return path.normalize(place);
    }
  };
  return (place) => {
    const found = known.get(place) ?? find(place);
    known.set(place, found);
    return found;
  };
}
