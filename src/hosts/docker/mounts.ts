import type { DataMount } from '../../model/volume.ts';
import { isAppError } from '../../model/errors.ts';
import type { EngineClient } from './engine-client.ts';
import type { EngineContainer, EngineContainerDetails, EngineMount } from './engine-types.ts';
import { isHelper } from './image-labels.ts';
import { isVolumeMount, toConsumer } from './volumes.ts';

const inspectionsAtOnce = 8;

/**
 * Every mount of every container. Only a container's details have `--tmpfs` mounts, so each container is
 * inspected.
 */
export async function listContainerMounts(
  client: EngineClient,
  signal: AbortSignal | undefined,
): Promise<DataMount[]> {
  const containers = (
    await client.json<readonly EngineContainer[]>({
      method: 'GET',
      path: '/containers/json?all=1',
      action: 'Cannot list containers',
      signal,
    })
  ).filter((container) => !isHelper(container));

  const found: DataMount[] = [];
  const queue = containers.values();
  const work = async (): Promise<void> => {
    for (const container of queue) {
      const details = await inspectContainer(client, container.Id, signal);
      if (details !== undefined) found.push(...mountsOf(container, details));
    }
  };
  await Promise.all(Array.from({ length: Math.min(inspectionsAtOnce, containers.length) }, work));
  return found.toSorted(byConsumerThenDestination);
}

/** The mounts of one container: those that the engine lists, and tmpfs mounts, which it does not. */
export function mountsOf(container: EngineContainer, details: EngineContainerDetails): DataMount[] {
  const listed = (container.Mounts ?? []).map((mount) => toDataMount(container, mount));
  const destinations = new Set(listed.map((mount) => mount.destination));
  const tmpfs = Object.entries(details.HostConfig?.Tmpfs ?? {})
    .filter(([destination]) => !destinations.has(destination))
    .map(([destination, options]): DataMount => {
      const readOnly = options.split(',').includes('ro');
      return {
        type: 'tmpfs',
        source: undefined,
        destination,
        readOnly,
        driver: undefined,
        consumer: toConsumer(container, { path: destination, readOnly }),
      };
    });
  return [...listed, ...tmpfs];
}

function toDataMount(container: EngineContainer, mount: EngineMount): DataMount {
  const destination = mount.Destination ?? '';
  const readOnly = mount.RW === false;
  const type = typeOf(mount);
  return {
    type,
    source:
      type === 'volume'
        ? (mount.Name ?? undefined)
        : type === 'tmpfs'
          ? undefined
          : mount.Source || undefined,
    destination,
    readOnly,
    driver: mount.Driver || undefined,
    consumer: toConsumer(container, { path: destination, readOnly }),
  };
}

function typeOf(mount: EngineMount): DataMount['type'] {
  if (isVolumeMount(mount)) return 'volume';
  return mount.Type === 'bind' || mount.Type === 'tmpfs' ? mount.Type : 'other';
}

async function inspectContainer(
  client: EngineClient,
  id: string,
  signal: AbortSignal | undefined,
): Promise<EngineContainerDetails | undefined> {
  try {
    return await client.json<EngineContainerDetails>({
      method: 'GET',
      path: `/containers/${id}/json`,
      action: `Cannot inspect container "${id.slice(0, 12)}"`,
      signal,
    });
  } catch (error) {
    // The container was removed after it was listed.
    if (isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}

function byConsumerThenDestination(left: DataMount, right: DataMount): number {
  const names = left.consumer.name.localeCompare(right.consumer.name, 'en');
  return names || (left.destination < right.destination ? -1 : 1);
}
