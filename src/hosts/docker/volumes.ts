import { AppError } from '../../model/errors.ts';
import type { Consumer, ConsumerState, Volume } from '../../model/volume.ts';
import type { EngineContainer, EngineMount, EngineVolume } from './engine-types.ts';
import { isHelper } from './image-labels.ts';

/** Joins what the engine lists into volumes with their consumers, sorted by name. */
export function joinVolumes(
  volumes: readonly EngineVolume[],
  containers: readonly EngineContainer[],
): Volume[] {
  const consumers = consumersByVolume(containers);
  return volumes
    .map((volume) => toVolume(volume, consumers.get(volume.Name) ?? []))
    .toSorted((left, right) => compare(left.name, right.name));
}

/** The volumes that containers mount and the engine's list lacks, as it does while a driver fails. */
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

/** A driver that fails tells no labels: what the stack's containers mount counts as the stack's, so that it is missed there. */
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
    // What Go writes for an unknown time: a plugin need not say it.
    createdAt: volume.CreatedAt?.startsWith('0001-01-01') ? undefined : volume.CreatedAt || undefined,
    labels,
    options: volume.Options ?? {},
    scope: volume.Scope === 'global' ? 'global' : 'local',
    // The engine forgets its own label for mounts without a source, Compose's among them, but always makes such a name.
    anonymous: labels['com.docker.volume.anonymous'] !== undefined || /^[0-9a-f]{64}$/.test(volume.Name),
    stack: stackOf(labels),
    consumers,
  };
}

/** A container as the consumer of what it mounts at `mount`. */
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

/** Mounts of a volume, under whatever type the engine lists them (Swarm's cluster volumes have one of their own). */
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

/** A container has its own name and one for each legacy link to it (`/web/db`): the one without a second slash is its own. */
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

/** A state that we do not know counts as running: the careful side. */
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

/** The error for a volume that cannot be removed, with who holds it. */
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
