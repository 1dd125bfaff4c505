import type { Container } from '../hosts/containers.ts';
import type { Host, HostScope } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { didYouMean, nearNames } from '../model/near-names.ts';
import { quote } from '../model/quote.ts';
import type { Volume } from '../model/volume.ts';
import { type BindMount, listBindMounts } from './bind-mounts.ts';
import type { JobOptions } from '../activity/index.ts';

/** All that one container keeps data in. */
export interface ContainerData {
  readonly container: string;
  readonly stack: string | undefined;
  readonly volumes: readonly Volume[];
  /** Absolute paths. */
  readonly paths: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** The data of containers by name or id; `not-found` for a missing container, or one without data. */
export async function findContainerData(
  { host: openHost, stateDir }: HostScope,
  names: readonly string[],
  { signal }: JobOptions,
): Promise<readonly ContainerData[]> {
  const host = await openHost();
  const containers = await listContainers(host, signal);
  const chosen = names.map((name) => findContainer(containers, name));
  const [volumes, info] = await Promise.all([host.listVolumes({ signal }), host.info({ signal })]);
  const found: ContainerData[] = [];
  for (const container of chosen) {
    const mounts = await listBindMounts([container], { stateDir, host: info });
    found.push(dataOf(container, volumes, mounts));
  }
  return found;
}

async function listContainers(host: Host, signal: AbortSignal | undefined): Promise<readonly Container[]> {
  if (host.containers !== undefined) return await host.containers.list({ signal });
  throw new AppError('not-found', 'There are no containers: no container engine was found', {
    hint: 'Start it, or say where it is: DOCKER_HOST, CONTAINER_HOST or --host.',
  });
}

function findContainer(containers: readonly Container[], wanted: string): Container {
  const byName = containers.find(({ name }) => name === wanted);
  const byId = /^[0-9a-f]{4,64}$/.test(wanted) ? containers.filter(({ id }) => id.startsWith(wanted)) : [];
  const [found] = byName === undefined ? byId : [byName];
  if (found !== undefined && (byName !== undefined || byId.length === 1)) return found;
  const near = nearNames(
    wanted,
    containers.map(({ name }) => name),
  );
  throw new AppError('not-found', `There is no container ${quote(wanted)}`, {
    hint: didYouMean(near),
  });
}

/** Pure. */
function dataOf(
  container: Container,
  volumes: readonly Volume[],
  mounts: readonly BindMount[],
): ContainerData {
  const named = new Set(
    container.mounts.flatMap(({ type, source }) => (type === 'volume' ? source : []) ?? []),
  );
  const mounted = volumes.filter(({ name }) => named.has(name));
  const data = {
    container: container.name,
    stack: container.stack,
    volumes: mounted.filter((volume) => whySkipped(volume) === undefined),
    paths: mounts.flatMap(({ source, leftOut }) => (leftOut === undefined ? source : [])),
    skipped: [
      ...mounted.map((volume) => ({ name: volume.name, reason: whySkipped(volume) })),
      ...mounts.map(({ source, leftOut }) => ({ name: source, reason: leftOut })),
    ].flatMap(({ name, reason }) => (reason === undefined ? [] : [{ name, reason }])),
  };
  if (data.volumes.length + data.paths.length > 0) return data;
  throw new AppError(
    'not-found',
    `The container ${quote(container.name)} keeps no data in volumes or bind mounts`,
    {
      detail: data.skipped.map(({ name, reason }) => `${quote(name)}: ${reason}`).join('\n') || undefined,
    },
  );
}

/** Why a volume is excluded unless it is named; undefined when it is not. Pure. */
export function whySkipped(volume: Volume): string | undefined {
  for (const label of ['holdfast.backup', 'holdfast.enable']) {
    const text = volume.labels[label];
    if (text !== undefined && /^(?:false|no|off|0)$/i.test(text.trim()))
      return `its label says ${label}=${text}`;
  }
  return volume.driver === 'local' && volume.options['type'] === 'tmpfs' ? 'it is in memory only' : undefined;
}
