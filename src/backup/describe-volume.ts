import { hostname } from 'node:os';
import type { Catalog } from '../catalog/catalog.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import { placeBehindLink } from './behind-link.ts';
import { containerStarts } from './container-starts.ts';
import { pathIdentity, volumeIdentity } from '../leases/index.ts';
import { whySkipped, type BackupTarget, type PathTarget } from '../volumes/index.ts';
import type { HostAccess } from '../hosts/host.ts';
import type { JobOptions } from '../activity/index.ts';
import { pathConsumers } from '../quiesce/index.ts';

/** How a volume is described: by its host and the catalog, on this machine. */
export interface DescribeMeans extends HostAccess {
  readonly catalog: Catalog;
}

/** What a snapshot records of its volume, so that a bare machine can recreate it. */
export async function describeVolume(
  means: DescribeMeans,
  target: BackupTarget,
  options: JobOptions,
): Promise<VolumeDescription> {
  const { catalog } = means;
  if (target.kind === 'path') return await describePath(means, { target, catalog }, options);
  const { volume, host } = target;
  const identity = volumeIdentity(catalog, { hostIdentity: host.identity, name: volume.name });
  return {
    kind: 'volume',
    name: volume.name,
    identity,
    host: { kind: host.kind, identity: host.identity || catalog.stateId(), name: host.name },
    ...continuedBy(catalog, identity),
    driver: volume.driver,
    options: volume.options,
    labels: volume.labels,
    createdAt: volume.createdAt,
    anonymous: volume.anonymous,
    stack: volume.stack,
    ...(volume.stack !== undefined && { stackVolumes: await volumesOfStack(means, volume.stack, options) }),
    consumers: volume.consumers,
    ...(await containerStarts(means, volume.consumers, options)),
  };
}

function continuedBy(catalog: Catalog, identity: string): Pick<VolumeDescription, 'continues'> {
  const continues = catalog.continuedLineage(identity);
  return continues === undefined ? {} : { continues };
}

async function volumesOfStack(
  { host }: HostAccess,
  stack: string,
  { signal }: JobOptions,
): Promise<string[]> {
  const all = await (await host()).listVolumes({ signal });
  const ofStack = all.filter((one) => one.stack === stack && whySkipped(one) === undefined);
  return ofStack.map(({ name }) => name).toSorted();
}

interface DescribedPath {
  readonly target: PathTarget;
  readonly catalog: Catalog;
}

async function describePath(
  means: DescribeMeans,
  { target, catalog }: DescribedPath,
  options: JobOptions,
): Promise<VolumeDescription> {
  const { name: path, isFile } = target;
  const consumers = await pathConsumers(means, path, options);
  const identity = pathIdentity(catalog, path);
  const realPath = isFile === true ? undefined : await placeBehindLink(path);
  return {
    kind: 'path',
    name: path,
    ...(isFile === true && { isFile }),
    ...(realPath !== undefined && { realPath }),
    identity,
    host: { kind: 'embedded', identity: catalog.stateId(), name: hostname() },
    ...continuedBy(catalog, identity),
    driver: 'path',
    options: {},
    labels: {},
    anonymous: false,
    stack: consumers.find((consumer) => consumer.stack !== undefined)?.stack,
    consumers,
    ...(await containerStarts(means, consumers, options)),
  };
}
