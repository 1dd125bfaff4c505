import { realpath } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Container, ContainerMount } from '../../hosts/containers.ts';
import { isAppError } from '../../model/errors.ts';
import type { Consumer, Volume } from '../../model/volume.ts';
import { isWithin, pathConsumers } from '../describe-volume.ts';
import type { JobOptions, Protection } from '../protection.ts';
import type { BackupTarget } from '../targets.ts';

/**
 * The containers, running or not, that see a volume's data however they mount it: by its name, by a bind mount of its
 * folder or of one above or below, or by another volume that is the same place. This process's own container is none.
 */
export async function volumeContainers(
  parts: Protection,
  volumeName: string,
  options: WhichContainers,
): Promise<Container[]> {
  const host = await parts.host();
  if (host.containers === undefined) return [];
  const { signal } = options;
  const [containers, volumes] = await Promise.all([
    host.containers.list({ signal }),
    host.listVolumes({ signal }),
  ]);
  const volume = volumes.find(({ name }) => name === volumeName);
  const places = volume ? placesOf(volume) : [];
  return await consumersOf(containers, { name: volumeName, places, volumes, writers: options.writers });
}

/** Those of them, running or not, that could write when they run. */
export async function writersOf(
  parts: Protection,
  target: { readonly kind: 'volume' | 'path'; readonly name: string },
  options: JobOptions,
): Promise<Container[]> {
  if (target.kind === 'path') return await pathContainers(parts, target.name, { ...options, writers: true });
  return await volumeContainers(parts, target.name, { ...options, writers: true });
}

/** True for one that can write now. */
export function runs({ state }: Container): boolean {
  return state === 'running' || state === 'restarting';
}

/** True for one that can write, or could when it is let run on. */
export function isActiveContainer(container: Container): boolean {
  return runs(container) || container.state === 'paused';
}

/** What a host says that lists consumers, and no containers. */
export async function consumersNow(
  parts: Protection,
  target: BackupTarget,
  options: JobOptions,
): Promise<readonly Consumer[]> {
  if (target.kind === 'path') return await pathConsumers(parts, target.name, options);
  const host = await parts.host();
  return (await host.findVolume(target.name, { signal: options.signal }))?.consumers ?? [];
}

interface WhichContainers extends JobOptions {
  /** Only those whose mount is not read-only. */
  readonly writers?: boolean;
}

/** The same for a directory of this machine. Without an engine there are none. */
export async function pathContainers(
  parts: Protection,
  directory: string,
  options: WhichContainers,
): Promise<Container[]> {
  try {
    const host = await parts.host();
    if (host.containers === undefined) return [];
    const { signal } = options;
    const [containers, volumes] = await Promise.all([
      host.containers.list({ signal }),
      host.listVolumes({ signal }),
    ]);
    const places = [directory];
    return await consumersOf(containers, { name: undefined, places, volumes, writers: options.writers });
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return [];
    throw error;
  }
}

interface Sought {
  readonly name: string | undefined;
  readonly places: readonly string[];
  readonly volumes: readonly Volume[];
  readonly writers?: boolean | undefined;
}

async function consumersOf(
  containers: readonly Container[],
  { name, places, volumes, writers }: Sought,
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
  const sees = async ({ type, source, readOnly }: ContainerMount): Promise<boolean> => {
    if (source === undefined || (writers === true && readOnly)) return false;
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
