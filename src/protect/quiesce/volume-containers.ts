import { realpath } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Container, ContainerMount } from '../../hosts/containers.ts';
import { isAppError } from '../../model/errors.ts';
import type { Volume } from '../../model/volume.ts';
import { isWithin } from '../describe-volume.ts';
import type { JobOptions, Protection } from '../protection.ts';

/**
 * The containers, running or not, that see a volume's data however they mount it: by its name, by a bind mount of its
 * folder or of one above or below, or by another volume that is the same place. This process's own container is none.
 */
export async function volumeContainers(
  parts: Protection,
  volumeName: string,
  options: JobOptions,
): Promise<Container[]> {
  const host = await parts.host();
  if (host.containers === undefined) return [];
  const { signal } = options;
  const [containers, volumes] = await Promise.all([
    host.containers.list({ signal }),
    host.listVolumes({ signal }),
  ]);
  const volume = volumes.find(({ name }) => name === volumeName);
  return await consumersOf(containers, { name: volumeName, places: volume ? placesOf(volume) : [], volumes });
}

/** The same for a directory of this machine. Without an engine there are none. */
export async function pathContainers(
  parts: Protection,
  directory: string,
  options: JobOptions,
): Promise<Container[]> {
  try {
    const host = await parts.host();
    if (host.containers === undefined) return [];
    const { signal } = options;
    const [containers, volumes] = await Promise.all([
      host.containers.list({ signal }),
      host.listVolumes({ signal }),
    ]);
    return await consumersOf(containers, { name: undefined, places: [directory], volumes });
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return [];
    throw error;
  }
}

interface Sought {
  readonly name: string | undefined;
  readonly places: readonly string[];
  readonly volumes: readonly Volume[];
}

async function consumersOf(
  containers: readonly Container[],
  { name, places, volumes }: Sought,
): Promise<Container[]> {
  const real = await Promise.all(places.map(realPlace));
  const shared = new Map<string, boolean>();
  for (const other of volumes) {
    const theirs = await Promise.all(placesOf(other).map(realPlace));
    shared.set(
      other.name,
      other.name === name || theirs.some((place) => real.some((mine) => overlap(mine, place))),
    );
  }
  const sees = async ({ type, source }: ContainerMount): Promise<boolean> => {
    if (source === undefined) return false;
    if (type === 'volume') return source === name || shared.get(source) === true;
    if (type !== 'bind') return false;
    const place = await realPlace(source);
    return real.some((mine) => overlap(mine, place));
  };
  const found: Container[] = [];
  for (const container of containers) {
    if (isOwn(container)) continue;
    for (const mount of container.mounts) {
      if (!(await sees(mount))) continue;
      found.push(container);
      break;
    }
  }
  return found;
}

/** Where a volume's data lies on the engine's machine; a share of the network has a place of its own kind. */
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

/** Where the symbolic links lead to, when this is the engine's machine. */
async function realPlace(place: string): Promise<string> {
  return path.isAbsolute(place) ? await realpath(place).catch(() => path.normalize(place)) : place;
}

/** True for the container that this process runs in: to pause it would be to wait for ever. */
function isOwn(container: Container): boolean {
  const hostname = os.hostname();
  return /^[0-9a-f]{12}$/.test(hostname) && container.id.startsWith(hostname);
}
