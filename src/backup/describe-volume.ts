import type { Catalog } from '../catalog/catalog.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import { placeBehindLink } from './behind-link.ts';
import { containerStarts } from './container-starts.ts';
import { pathIdentity, volumeIdentity } from '../leases/index.ts';
import { whySkipped, type BackupTarget, type PathTarget } from '../volumes/index.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import { pathConsumers } from '../quiesce/index.ts';

/** What a snapshot has to remember of its volume, so that a bare machine can make it again. */
export async function describeVolume(
  parts: Protection,
  target: BackupTarget,
  options: JobOptions,
): Promise<VolumeDescription> {
  const catalog = await parts.catalog();
  if (target.kind === 'path') return await describePath(parts, { target, catalog }, options);
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
    ...(volume.stack !== undefined && { stackVolumes: await volumesOfStack(parts, volume.stack, options) }),
    consumers: volume.consumers,
    ...(await containerStarts(parts, volume.consumers, options)),
  };
}

function continuedBy(catalog: Catalog, identity: string): Pick<VolumeDescription, 'continues'> {
  const continues = catalog.continuedLineage(identity);
  return continues === undefined ? {} : { continues };
}

async function volumesOfStack(parts: Protection, stack: string, { signal }: JobOptions): Promise<string[]> {
  const all = await (await parts.host()).listVolumes({ signal });
  const ofStack = all.filter((one) => one.stack === stack && whySkipped(one) === undefined);
  return ofStack.map(({ name }) => name).toSorted();
}

interface DescribedPath {
  readonly target: PathTarget;
  readonly catalog: Catalog;
}

async function describePath(
  parts: Protection,
  { target, catalog }: DescribedPath,
  options: JobOptions,
): Promise<VolumeDescription> {
  const { name: path, isFile } = target;
  const consumers = await pathConsumers(parts, path, options);
  const identity = pathIdentity(catalog, path);
  const realPath = isFile === true ? undefined : await placeBehindLink(path);
  return {
    kind: 'path',
    name: path,
    ...(isFile === true && { isFile }),
    ...(realPath !== undefined && { realPath }),
    identity,
    host: { kind: 'embedded', identity: catalog.stateId(), name: parts.hostname },
    ...continuedBy(catalog, identity),
    driver: 'path',
    options: {},
    labels: {},
    anonymous: false,
    stack: consumers.find((consumer) => consumer.stack !== undefined)?.stack,
    consumers,
    ...(await containerStarts(parts, consumers, options)),
  };
}
