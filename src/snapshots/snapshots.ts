import type { HostAccess, HostInfo } from '../hosts/host.ts';
import { isAppError } from '../model/errors.ts';
import { nearNames } from '../model/near-names.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { parseTarget, parseVolumePath } from '../model/target.ts';
import type { Repository, SnapshotEntry } from '../repository/index.ts';
import { type FindContext, findSnapshot, lineage, targetName } from './find-snapshot.ts';
import { pathIdentity, volumeIdentity } from '../leases/index.ts';
import { listInKnownOrder } from './known-order.ts';
import { type OwnTest, ownTest } from './own-snapshots.ts';
import { explainContainerPath } from './path-in-container.ts';
import type { JobOptions } from '../activity/index.ts';
import type { SnapshotSources } from './sources.ts';
import type { TimeDoubt } from './snapshot-order.ts';

export interface SnapshotFilter {
  /** Volume name, or a path with "/" or ".". */
  readonly name?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly stack?: string | undefined;
}

export interface ListedSnapshot extends Snapshot {
  /** This machine saved it, or took its lineage over: this machine's rules apply to it. */
  readonly isOwn: boolean;
  /**
   * Why its time cannot be right; `knownTime` is when it was saved, as far as known. Absent when nothing
   * contradicts its time.
   */
  readonly timeDoubt?: Pick<TimeDoubt, 'kind' | 'reason'> & { readonly knownTime: string };
}

/** A place in a snapshot, as the user names it. */
export interface SnapshotPath {
  readonly snapshot: string;
  /** Below the snapshot's root; '' or '/' is all of it. */
  readonly path: string;
  readonly depth?: number | undefined;
  /** The dumps that databases made beside the data, instead of the data. */
  readonly dumps?: boolean | undefined;
}

/** Oldest first. */
export async function listSnapshots(
  sources: SnapshotSources,
  filter: SnapshotFilter,
  options: JobOptions,
): Promise<ListedSnapshot[]> {
  const context = await findContext(sources, options);
  const named =
    filter.name === undefined ? context.snapshots : lineage(targetName(parseTarget(filter.name)), context);
  if (filter.name !== undefined && named.length === 0) noteNear(filter.name, context, options);
  return named
    .filter(
      (snapshot) =>
        (filter.tags ?? []).every((tag) => snapshot.tags.includes(tag)) &&
        (filter.stack === undefined || snapshot.volume?.stack === filter.stack),
    )
    .map((snapshot) => listed(snapshot, context));
}

function listed(snapshot: Snapshot, { isOwn, doubts }: FullContext): ListedSnapshot {
  const doubt = doubts.get(snapshot.id);
  return {
    ...snapshot,
    isOwn: isOwn(snapshot),
    ...(doubt !== undefined && {
      timeDoubt: {
        kind: doubt.kind,
        reason: doubt.reason,
        knownTime: new Date(doubt.knownMs).toISOString(),
      },
    }),
  };
}

function noteNear(name: string, { snapshots }: FindContext, { onNote }: JobOptions): void {
  const near = nearNames(name, [...new Set(snapshots.map((snapshot) => snapshot.name))]);
  if (near.length > 0)
    onNote?.(`There are none of ${quote(name)}. Did you mean ${near.map(quote).join(' or ')}?`);
}

/** The entries below a path of a snapshot, the path itself first. */
export async function* listFiles(
  sources: SnapshotSources,
  where: SnapshotPath,
  options: JobOptions,
): AsyncGenerator<SnapshotEntry, void, undefined> {
  const { repository, snapshot } = await openSnapshot(sources, where.snapshot, options);
  if (where.dumps === true) return yield* await repository.listDumps(snapshot, { signal: options.signal });
  const depth = where.depth === undefined ? {} : { depth: where.depth };
  try {
    yield* repository.walk(snapshot, parseVolumePath(where.path), { ...depth, signal: options.signal });
  } catch (error) {
    throw explainContainerPath(error, snapshot, where.path);
  }
}

export interface OpenedSnapshot {
  readonly repository: Repository;
  readonly snapshot: Snapshot;
}

/** The snapshot of a reference, with its repository. */
export async function openSnapshot(
  sources: SnapshotSources,
  reference: string,
  options: JobOptions,
): Promise<OpenedSnapshot> {
  const context = await findContext(sources, options);
  return { repository: sources.repository, snapshot: findSnapshot(reference, context) };
}

/** With all evidence. */
export interface FullContext extends FindContext {
  readonly isOwn: OwnTest;
  readonly doubts: ReadonlyMap<string, TimeDoubt>;
}

/**
 * The context that resolves references. A host that does not answer is not an error: names are then used
 * without it.
 */
export async function findContext(sources: SnapshotSources, options: JobOptions): Promise<FullContext> {
  const { snapshots, doubts, damaged } = await listInKnownOrder(sources, options);
  for (const id of damaged.keys()) noteDamaged(id, options);
  const { catalog } = sources;
  const hostIdentity = (await hostIfKnown(sources, options))?.identity;
  return {
    snapshots,
    doubts,
    damaged,
    isOwn: ownTest(catalog, hostIdentity),
    now: new Date(),
    identityOf: (name) => {
      if (name.startsWith('/')) return pathIdentity(catalog, name);
      return hostIdentity === undefined ? undefined : volumeIdentity(catalog, { hostIdentity, name });
    },
  };
}

export function noteDamaged(id: string, { onNote }: JobOptions): void {
  onNote?.(`Snapshot ${quote(id.slice(0, 8))} is damaged and left out: see "holdfast check".`);
}

/** Undefined when no host answers. */
export async function hostIfKnown(
  { host }: HostAccess,
  { signal }: Pick<JobOptions, 'signal'>,
): Promise<HostInfo | undefined> {
  try {
    return await (await host()).info({ signal });
  } catch (error) {
    const isUnknown = isAppError(error, 'unavailable') || isAppError(error, 'denied');
    // A conflict: an engine has appeared, and the user has not yet said which volumes to use.
    if (isUnknown || isAppError(error, 'conflict')) return undefined;
    throw error;
  }
}
