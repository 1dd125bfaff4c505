import { errorMessage } from '../model/errors.ts';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Catalog } from '../catalog/catalog.ts';
import type { ByteString } from '../model/byte-string.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot, VolumeDescription } from '../model/snapshot.ts';
import type { Destination } from './choose-destination.ts';
import { pathIdentity, volumeIdentity } from '../leases/index.ts';
import { ownTest, placeOf, type Place, type SnapshotSources } from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';

/** What a restore brings back, and where to. */
export interface BroughtBack {
  readonly snapshot: Snapshot;
  /** The path in the snapshot; '' for the whole. */
  readonly path: ByteString;
  readonly destination: Destination;
  /** The destination continues the lineage of another machine. */
  readonly takesOver: boolean;
}

/** Where lineages are recorded, and which host has the volumes. */
type LineageScope = Pick<SnapshotSources, 'catalog' | 'host'>;

/** The identity on which a destination's lease is taken. */
export async function identityOf(
  scope: LineageScope,
  destination: Destination,
  options: JobOptions,
): Promise<string> {
  const { catalog } = scope;
  if (isPath(destination)) return pathIdentity(catalog, destination.name);
  const { identity: hostIdentity } = await (await scope.host()).info({ signal: options.signal });
  return volumeIdentity(catalog, { hostIdentity, name: destination.name });
}

/** The data is restored: a failure to record this is only noted. */
export async function keepLineages(
  scope: LineageScope,
  plans: readonly BroughtBack[],
  options: JobOptions,
): Promise<void> {
  try {
    for (const plan of plans) await keepLineage(scope, plan, options);
  } catch (error) {
    const why = errorMessage(error);
    options.onNote?.(`The data is restored; that it goes on with the snapshots before is not noted: ${why}`);
  }
}

/** What a restore says beforehand about the lineage that its destination continues. */
export async function lineageNotes(
  scope: LineageScope,
  plan: BroughtBack,
  options: JobOptions,
): Promise<string[]> {
  const recorded = broughtBack(plan);
  if (recorded === undefined || (await isOwnSnapshot(scope, plan.snapshot, options))) return [];
  const isNamesake = recorded.host.name === hostname();
  const [name, machine] = [quote(recorded.name), quote(recorded.host.name)];
  return [
    plan.takesOver
      ? `${name} goes on with the snapshots that ${machine} saved: from then on, rules of this machine remove them too.`
      : `${name} was saved by another machine${isNamesake ? ' of the same name' : ''}, ${machine}. Here it begins snapshots of its own that continue those, and rules of this machine leave those alone. Where this machine takes the place of that one: --take-over.`,
  ];
}

/**
 * What was restored as a whole continues the lineage of its snapshots where they are this machine's or are
 * taken over; otherwise it gets its own. A copy under another name has its own.
 */
async function keepLineage(scope: LineageScope, plan: BroughtBack, options: JobOptions): Promise<void> {
  const recorded = broughtBack(plan);
  if (recorded === undefined) return;
  const { catalog } = scope;
  const place = await placeOf(scope, recorded, options);
  const now = identityIn(catalog, place);
  const origin = { identity: recorded.identity, hostName: recorded.host.name };
  const isOwn = await isOwnSnapshot(scope, plan.snapshot, options);
  if (isOwn && now === recorded.identity) return;
  if (isOwn || plan.takesOver) {
    const other = await otherOf(scope, place, recorded.identity, options);
    if (other !== undefined)
      return options.onNote?.(
        `${quote(recorded.name)} goes on with snapshots of its own: ${quote(other)} goes on with those that it was restored from.`,
      );
    if (isOwn) catalog.setVolumeIdentity(place.hostIdentity, place.name, recorded.identity);
    else catalog.takeOverLineage(place.hostIdentity, place.name, origin);
    return;
  }
  // Earlier versions gave a volume the lineage of the machine that it came from.
  const own = now === recorded.identity ? randomBytes(16).toString('hex') : now;
  catalog.continueLineage(place.hostIdentity, place.name, own, origin);
}

/** The snapshot's subject, where a restore brings it back as a whole under its name. */
function broughtBack({
  snapshot: { volume },
  path,
  destination,
}: BroughtBack): VolumeDescription | undefined {
  if (volume === undefined || volume.name !== destination.name) return undefined;
  if (path !== '' && volume.isFile !== true) return undefined;
  return (volume.kind === 'path') === isPath(destination) ? volume : undefined;
}

/** True for a place of this machine that is named by its path. */
export function isPath({ kind }: Pick<Destination, 'kind'>): boolean {
  return kind === 'directory' || kind === 'entry';
}

function identityIn(catalog: Catalog, { kind, hostIdentity, name }: Place): string {
  return kind === 'path' ? pathIdentity(catalog, name) : volumeIdentity(catalog, { hostIdentity, name });
}

/** The name of another volume of this host with the same lineage: retention would thin the two out as one. */
async function otherOf(
  scope: LineageScope,
  { kind, hostIdentity, name }: Place,
  identity: string,
  { signal }: JobOptions,
): Promise<string | undefined> {
  if (kind === 'path') return undefined;
  const { catalog } = scope;
  const volumes = await (await scope.host()).listVolumes({ signal });
  const isIt = (other: string): boolean =>
    other !== name && volumeIdentity(catalog, { hostIdentity, name: other }) === identity;
  return volumes.find((other) => isIt(other.name))?.name;
}

async function isOwnSnapshot(
  scope: LineageScope,
  snapshot: Snapshot,
  { signal }: JobOptions,
): Promise<boolean> {
  // Without an engine, what was saved at one is not its own.
  const host = await scope.host().catch(() => undefined);
  const identity = (await host?.info({ signal }).catch(() => undefined))?.identity;
  return ownTest(scope.catalog, identity)(snapshot);
}
