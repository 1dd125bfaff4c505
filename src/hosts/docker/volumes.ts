import { AppError } from '../../model/errors.ts';
import type { Consumer, ConsumerState, Volume } from '../../model/volume.ts';
import type { EngineContainer, EngineMount, EngineVolume } from './engine-types.ts';
import { isHelper } from './image-labels.ts';

/** Joins the engine's lists into volumes with their consumers, sorted by name. */
export function joinVolumes(
  volumes: readonly EngineVolume[],
  containers: readonly EngineContainer[],
): Volume[] {
  const consumers = consumersByVolume(containers);
  return volumes
    .map((volume) => toVolume(volume, consumers.get(volume.Name) ?? []))
    .toSorted((left, right) => compare(left.name, right.name));
}

/** Volumes that containers mount and the engine's list lacks, as it does while a driver fails. */
export function missingVolumes(
  volumes: readonly EngineVolume[],
  containers: readonly EngineContainer[],
): EngineVolume[] {
  const known = new Set(volumes.map((volume) => volume.Name));
  const missing = new Map<string, EngineVolume>();
  for (const container of containers) {
    for (const mount of container.Mounts ?? []) {
      if (!isVolumeMount(mount) || known.has(mount.Name)) continue;
      missing.set(mount.Name, { Name: mount.Name, Driver: mount.Driver ?? null });
    }
  }
  return [...missing.values()];
}

/**
 * A failing driver returns no labels: a volume mounted by a stack's containers counts as the stack's, so that
 * its absence is noticed there.
 */
export function ofItsConsumers(volume: Volume): Volume {
  const stack = volume.stack ?? volume.consumers.find((one) => one.stack !== undefined)?.stack;
  return { ...volume, stack };
}

function toVolume(volume: EngineVolume, consumers: readonly Consumer[]): Volume {
  const labels = volume.Labels ?? {};
  return {
    name: volume.Name,
    driver: volume.Driver || 'local',
    mountpoint: volume.Mountpoint || undefined,
    // Go's zero time: a plugin need not give it.
    createdAt: volume.CreatedAt?.startsWith('0001-01-01') ? undefined : volume.CreatedAt || undefined,
    labels,
    options: volume.Options ?? {},
    scope: volume.Scope === 'global' ? 'global' : 'local',
    // The engine omits its own label for mounts without a source, Compose's among them, but always gives them
    // such a name.
    anonymous: labels['com.docker.volume.anonymous'] !== undefined || /^[0-9a-f]{64}$/.test(volume.Name),
    stack: stackOf(labels),
    consumers,
  };
}

/** A container as the consumer of its mount `mount`. */
export function toConsumer(
  container: EngineContainer,
  mount: { readonly path: string; readonly readOnly: boolean },
): Consumer {
  const labels = container.Labels ?? {};
  return {
    id: container.Id,
    name: containerName(container),
    image: container.Image ?? '',
    state: toState(container.State),
    stack: stackOf(labels),
    service: labels['com.docker.compose.service'] ?? labels['com.docker.swarm.service.name'],
    path: mount.path,
    readOnly: mount.readOnly,
  };
}

/** Mounts of a volume, whatever type the engine gives them (Swarm's cluster volumes have their own). */
export function isVolumeMount(mount: EngineMount): mount is EngineMount & { readonly Name: string } {
  return (mount.Type === 'volume' || mount.Type === 'cluster') && Boolean(mount.Name);
}

function consumersByVolume(containers: readonly EngineContainer[]): Map<string, Consumer[]> {
  const byVolume = new Map<string, Consumer[]>();
  for (const container of containers) {
    if (isHelper(container)) continue;
    for (const mount of container.Mounts ?? []) {
      if (!isVolumeMount(mount)) continue;
      const consumer = toConsumer(container, { path: mount.Destination ?? '', readOnly: mount.RW === false });
      const known = byVolume.get(mount.Name);
      if (known === undefined) byVolume.set(mount.Name, [consumer]);
      else known.push(consumer);
    }
  }
  for (const consumers of byVolume.values()) {
    consumers.sort((left, right) => compare(left.name, right.name) || compare(left.path, right.path));
  }
  return byVolume;
}

/**
 * A container has its own name and one for each legacy link to it (`/web/db`): its own has no second slash.
 */
function containerName(container: EngineContainer): string {
  const names = container.Names ?? [];
  const own = names.find((name) => name.lastIndexOf('/') <= 0) ?? names[0];
  return own?.replace(/^\//, '') || container.Id.slice(0, 12);
}

const states: ReadonlySet<string> = new Set([
  'created',
  'running',
  'paused',
  'restarting',
  'removing',
  'exited',
  'dead',
]);

/** An unknown state counts as running, to be safe. */
export function toState(state: string | null | undefined): ConsumerState {
  return state && states.has(state) ? (state as ConsumerState) : 'running';
}

export function stackOf(labels: Readonly<Record<string, string>>): string | undefined {
  return labels['com.docker.compose.project'] ?? labels['com.docker.stack.namespace'];
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

const namedAtMost = 5;

/** The error for a volume that cannot be removed, naming its consumers. */
export function inUse(volume: Volume, cause: unknown): AppError {
  const { name, consumers } = volume;
  if (consumers.length === 0) {
    return new AppError('in-use', `Cannot remove volume "${name}": it is in use`, {
      detail: cause instanceof AppError ? cause.detail : undefined,
      hint: 'A backup or restore of it may be running: try again when that is done.',
      cause,
    });
  }
  const holders = new Map(consumers.map((consumer) => [consumer.id, consumer]));
  const named = [...holders.values()]
    .slice(0, namedAtMost)
    .map((consumer) => `"${consumer.name}" (${consumer.state})`);
  const more = holders.size > namedAtMost ? ` and ${holders.size - namedAtMost} more` : '';
  return new AppError(
    'in-use',
    `Cannot remove volume "${name}": it is in use by ${named.join(', ')}${more}`,
    {
      hint: 'A container holds its volumes until it is removed, stopped ones too.',
      cause,
    },
  );
}
