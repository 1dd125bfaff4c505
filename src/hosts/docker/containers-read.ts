import { isAppError } from '../../model/errors.ts';
import type { Container, ContainerMount, Health } from '../containers.ts';
import type { EngineClient } from './engine-client.ts';
import type { EngineContainer, EngineHealthcheck, EngineInspection } from './engine-types.ts';
import { type ImageLabels, isHelper } from './image-labels.ts';
import { mountsOf } from './mounts.ts';
import { stackOf, toState } from './volumes.ts';

const inspectionsAtOnce = 8;

/** All containers but our helpers, by name. The engine's list lacks most fields, so each is inspected. */
export async function listContainers(
  client: EngineClient,
  images: ImageLabels,
  signal: AbortSignal | undefined,
): Promise<Container[]> {
  const listed = await client.json<readonly EngineContainer[]>({
    method: 'GET',
    path: '/containers/json?all=1',
    action: 'Cannot list containers',
    signal,
  });
  const containers: Container[] = [];
  const queue = listed.filter((container) => !isHelper(container)).values();
  const work = async (): Promise<void> => {
    for (const { Id } of queue) {
      const inspection = await inspectContainer(client, Id, signal);
      if (inspection !== undefined)
        containers.push(toContainer(inspection, await images.of(inspection, signal)));
    }
  };
  await Promise.all(Array.from({ length: inspectionsAtOnce }, work));
  return containers.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

/** Finds a container by name, id, or the short id that engines show. */
export async function findContainer(
  client: EngineClient,
  images: ImageLabels,
  { idOrName, signal }: { readonly idOrName: string; readonly signal: AbortSignal | undefined },
): Promise<Container | undefined> {
  const inspection = await inspectContainer(client, idOrName, signal);
  if (inspection === undefined) return undefined;
  const container = toContainer(inspection, await images.of(inspection, signal));
  // The engine accepts any prefix of an id: "db" may be a container that was not meant.
  const isMeant = container.name === idOrName || (idOrName.length >= 12 && container.id.startsWith(idOrName));
  return isMeant ? container : undefined;
}

/** What the engine knows of a container; undefined when there is none. */
export async function inspectContainer(
  client: EngineClient,
  idOrName: string,
  signal?: AbortSignal,
): Promise<EngineInspection | undefined> {
  // No container can have another name, and the engine's router reads some characters as parts of a path.
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(idOrName)) return undefined;
  try {
    return await client.json<EngineInspection>({
      method: 'GET',
      path: `/containers/${idOrName}/json`,
      action: `Cannot inspect container "${shortName(idOrName)}"`,
      signal,
    });
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}

/** The usual short form of an id; a name stays as it is. */
export function shortName(idOrName: string): string {
  return /^[0-9a-f]{64}$/.test(idOrName) ? idOrName.slice(0, 12) : idOrName;
}

export function toContainer(inspection: EngineInspection, imageLabels: Container['imageLabels']): Container {
  const { Id: id, State: state, Config: config } = inspection;
  const labels = config?.Labels ?? {};
  const restart = inspection.HostConfig?.RestartPolicy?.Name ?? '';
  const current = toState(state?.Status);
  return {
    id,
    name: inspection.Name?.replace(/^\//, '') || id.slice(0, 12),
    stack: stackOf(labels),
    service: labels['com.docker.compose.service'],
    number: Number(labels['com.docker.compose.container-number'] ?? 1) || 1,
    swarmService: labels['com.docker.swarm.service.name'],
    image: config?.Image ?? '',
    imageId: inspection.Image ?? '',
    state: current,
    health: toHealth(state?.Health?.Status),
    healthRetries: toRetries(config?.Healthcheck),
    healthFailures: state?.Health?.FailingStreak ?? undefined,
    healthIntervalMs: toInterval(config?.Healthcheck),
    healthCheckedAt: state?.Health?.Log?.at(-1)?.End ?? undefined,
    exitCode: current === 'exited' || current === 'dead' ? (state?.ExitCode ?? undefined) : undefined,
    restarts: restart !== '' && restart !== 'no',
    removesItself: inspection.HostConfig?.AutoRemove === true,
    dependsOn: dependenciesOf(labels['com.docker.compose.depends_on']),
    joins: joinedBy(inspection),
    volumesFrom: (inspection.HostConfig?.VolumesFrom ?? []).map((from) => from.replace(/:[^:]*$/, '')),
    stopTimeoutMs: stopTimeoutOf(inspection),
    labels,
    imageLabels,
    environment: toEnvironment(config?.Env ?? []),
    command: config?.Cmd ?? [],
    entrypoint: config?.Entrypoint ?? [],
    user: config?.User ?? '',
    privileged: inspection.HostConfig?.Privileged === true,
    capabilities: {
      dropped: (inspection.HostConfig?.CapDrop ?? []).map(capabilityName),
      added: (inspection.HostConfig?.CapAdd ?? []).map(capabilityName),
    },
    hasReadOnlyRoot: inspection.HostConfig?.ReadonlyRootfs === true,
    securityOptions: inspection.HostConfig?.SecurityOpt ?? [],
    mounts: toMounts(inspection),
    pid: state?.Pid || undefined,
    startedAt: isTime(state?.StartedAt) ? state.StartedAt : undefined,
    finishedAt: isTime(state?.FinishedAt) ? state.FinishedAt : undefined,
  };
}

function capabilityName(given: string): string {
  return given.toUpperCase().replace(/^CAP_/, '');
}

/** Podman uses the same format. */
function joinedBy({ HostConfig: config }: EngineInspection): string[] {
  const modes = [config?.NetworkMode, config?.PidMode, config?.IpcMode];
  const joined = modes.flatMap((mode) => /^container:(.+)$/.exec(mode ?? '')?.[1] ?? []);
  return [...new Set(joined)];
}

/** The engine's default. */
const usualStopMs = 10_000;

export function stopTimeoutOf({ Config: config }: EngineInspection): number {
  const seconds = config?.StopTimeout;
  if (seconds === undefined || seconds === null) return usualStopMs;
  return seconds < 0 ? Number.POSITIVE_INFINITY : seconds * 1000;
}

/** Compose's own format: `db:service_healthy:false,cache:service_started:true`. */
function dependenciesOf(label: string | undefined): string[] {
  return (label ?? '').split(',').flatMap((part) => part.split(':')[0]?.trim() || []);
}

function toEnvironment(lines: readonly string[]): Record<string, string> {
  const pairs = lines.map((line): [string, string] => {
    const end = line.indexOf('=');
    return end < 0 ? [line, ''] : [line.slice(0, end), line.slice(end + 1)];
  });
  return Object.fromEntries(pairs);
}

function toMounts(inspection: EngineInspection): ContainerMount[] {
  const container = { Id: inspection.Id, Mounts: inspection.Mounts ?? null };
  const propagations = new Map(inspection.Mounts?.map((mount) => [mount.Destination, mount.Propagation]));
  return mountsOf(container, inspection).map(({ type, source, destination, readOnly }) => ({
    type,
    source,
    destination,
    readOnly,
    propagation: propagations.get(destination) || undefined,
    subpath: type === 'volume' ? subpathOf(inspection, destination) : undefined,
    memoryOptions: type === 'tmpfs' ? memoryOptionsOf(inspection, destination) : undefined,
  }));
}

function subpathOf({ HostConfig: config }: EngineInspection, destination: string): string | undefined {
  const asked = config?.Mounts?.find(({ Target }) => Target === destination);
  return asked?.VolumeOptions?.Subpath || undefined;
}

/** `--tmpfs` has its options as one text, `--mount` in fields. */
function memoryOptionsOf({ HostConfig: config }: EngineInspection, destination: string): string {
  const asked = config?.Mounts?.find(({ Type, Target }) => Type === 'tmpfs' && Target === destination);
  if (asked === undefined) return config?.Tmpfs?.[destination] ?? '';
  const { SizeBytes: size, Options: options } = asked.TmpfsOptions ?? {};
  const words = (options ?? []).map((pair) => pair.join('='));
  return [...(size ? [`size=${size}`] : []), ...words].join(',');
}

function toHealth(status: string | null | undefined): Health {
  return status === 'starting' || status === 'healthy' || status === 'unhealthy' ? status : 'none';
}

/** The engine's default. */
const usualRetries = 3;

function toRetries(check: EngineHealthcheck | null | undefined): number | undefined {
  const { Test: test = [], Retries: retries } = check ?? {};
  return test === null || test.length === 0 || test[0] === 'NONE' ? undefined : retries || usualRetries;
}

/** The engine's default. */
const usualIntervalMs = 30_000;

/** The shorter of the two, since the engine does not say which applies. */
function toInterval(check: EngineHealthcheck | null | undefined): number | undefined {
  if (toRetries(check) === undefined) return undefined;
  const intervalMs = check?.Interval ? check.Interval / 1e6 : usualIntervalMs;
  return Math.min(intervalMs, check?.StartInterval ? check.StartInterval / 1e6 : intervalMs);
}

/** The engine gives the year 1 for a container that never started. */
function isTime(time: string | null | undefined): time is string {
  return typeof time === 'string' && time !== '' && !time.startsWith('0001-');
}
