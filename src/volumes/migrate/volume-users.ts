import { realpath } from 'node:fs/promises';
import type { Container } from '../../hosts/containers.ts';
import type { ManagedVolume } from '../managed/managed-volumes.ts';
import { fromText } from '../../model/byte-string.ts';
import { isUndoable, listUndoRecords } from '../undo-records.ts';
import type { HostAccess, HostScope } from '../../hosts/host.ts';
import { isAppError } from '../../model/errors.ts';
import type { JobOptions } from '../../activity/index.ts';
import {
  findHostWriters,
  isUp,
  pathContainers,
  planStops,
  volumeContainers,
  type Unstoppable,
} from '../../quiesce/index.ts';

/** The current users of a managed volume, besides the ids that hold it. */
export interface VolumeUsers {
  /** The containers that run, or are paused. */
  readonly up: readonly Container[];
  /** Names, in stop order. */
  readonly stops: readonly string[];
  readonly unstoppable: readonly Unstoppable[];
  readonly writers: readonly string[];
}

export async function findUsers(
  scope: HostScope,
  volume: ManagedVolume,
  options: JobOptions,
): Promise<VolumeUsers> {
  const { containers } = await scope.host();
  const all = containers === undefined ? [] : await containers.list(options);
  const root = await realpath(volume.mountpoint).catch(() => volume.mountpoint);
  const [found = []] = await findHostWriters([{ root, containerIds: all.map(({ id }) => id) }], options);
  const writers = found.map(({ name, pid }) => `${name} (${pid})`);
  if (containers === undefined) return { up: [], stops: [], unstoppable: [], writers };
  const up = (await usersOf(scope, volume, options)).filter(isUp);
  const request = { containers, before: up, names: [volume.name] };
  const { levels, unstoppable } = await planStops(scope, request, options);
  const stopped = levels.flat().filter(({ how }) => how !== 'pause');
  return { up, stops: stopped.map(({ identity }) => identity.name), unstoppable, writers };
}

/** By the engine's name for it, and by the folder. */
async function usersOf(access: HostAccess, volume: ManagedVolume, options: JobOptions): Promise<Container[]> {
  const host = await access.host();
  const known = await host.findVolume(volume.name, options).catch(async (error: unknown) => {
    // The engine has it by a plugin that is not there: what would be stopped could not start again.
    const isPlugged = isAppError(error, 'conflict');
    if (!isPlugged || (await volumeContainers(access, volume.name, options)).some(isUp)) throw error;
    return undefined;
  });
  // An engine may have another volume of that name, on a driver of its own.
  const isOurs = known !== undefined && known.driver !== 'local';
  const found = [
    ...(isOurs ? await volumeContainers(access, volume.name, options) : []),
    ...(await pathContainers(access, volume.mountpoint, options)),
  ];
  return [...new Map(found.map((container) => [container.id, container])).values()];
}

/** Until when something is kept for an undo of a restore of the volume, or of a part of it. RFC 3339. */
export async function findKeptForUndo(
  stateDir: string,
  { mountpoint }: ManagedVolume,
): Promise<string | undefined> {
  const roots = [mountpoint, await realpath(mountpoint).catch(() => mountpoint)].map(fromText);
  for (const record of await listUndoRecords(stateDir)) {
    const isIn = roots.some((root) => record.root === root || record.root.startsWith(`${root}/`));
    if (isIn && (await isUndoable(record))) return record.until;
  }
  return undefined;
}
