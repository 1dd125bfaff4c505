import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { parseTarget } from '../model/target.ts';
import {
  findContext,
  findSnapshot,
  groupSnapshots,
  isFuture,
  lineage,
  targetName,
  type FindContext,
  type SnapshotSources,
} from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';

export interface VerifyRequest {
  /** Volumes or directories for their newest snapshots, or single snapshots (`VOLUME@ID`, `VOLUME@TIME`, an id). */
  readonly targets: readonly string[];
  /** Every volume and directory that has snapshots. */
  readonly all: boolean;
  /** At most this many of each, the newest first. */
  readonly last: number;
  /** 0 checks the structure only, 100 reads and verifies every byte that the snapshots need. */
  readonly readDataPercent: number;
}

/** The result for the snapshots of one volume or directory. */
export interface VolumeVerification {
  readonly name: string;
  /** Newest first. */
  readonly snapshots: readonly { readonly id: string; readonly time: string; readonly isWhole: boolean }[];
  readonly bytesRead: number;
  /** Each names a damaged object. Empty when all are whole. */
  readonly errors: readonly string[];
}

export interface VerifyReport {
  readonly readDataPercent: number;
  /** Every snapshot that was found whole was read to the last byte, and is recorded as verified. */
  readonly isProof: boolean;
  /** Volumes with the newest snapshots first. */
  readonly volumes: readonly VolumeVerification[];
  /** Ids of damaged snapshots whose volume is unknown. Checked only with `all`. */
  readonly unreadable: readonly string[];
}

/**
 * Verifies snapshots with the data that they need, and records which are whole: "forget" and "prune" never
 * remove the newest of them. The result for each volume is durable before the next one is verified.
 */
export async function verify(
  sources: SnapshotSources,
  request: VerifyRequest,
  options: JobOptions,
): Promise<VerifyReport> {
  const context = await findContext(sources, options);
  const groups = planVerify(request, context);
  // Verifying nothing must not pass as a proof.
  if (groups.length === 0 && (context.damaged?.size ?? 0) === 0)
    throw new AppError('not-found', 'There is nothing to verify: the repository has no backups', {
      hint: 'Make one with "holdfast backup", or name another repository with --repo.',
    });
  const volumes: VolumeVerification[] = [];
  for (const group of groups) volumes.push(await verifyGroup(sources, { group, request }, options));
  return {
    readDataPercent: request.readDataPercent,
    isProof: request.readDataPercent === 100,
    volumes,
    unreadable: request.all ? [...(context.damaged?.keys() ?? [])] : [],
  };
}

/** The snapshots of one volume that are to be verified, newest first. */
export interface VerifyGroup {
  readonly name: string;
  readonly snapshots: readonly Snapshot[];
}

/**
 * What to verify, the volume with the newest snapshot first: the most important result comes soonest. Pure.
 */
export function planVerify(
  request: Omit<VerifyRequest, 'readDataPercent'>,
  context: FindContext,
): VerifyGroup[] {
  if (request.targets.length === 0 && !request.all) {
    throw new AppError('usage', 'Nothing says what to verify', { hint: 'Name volumes, or take --all.' });
  }
  const chosen = new Set(request.targets.flatMap((target) => meantBy(target, request.last, context)));
  if (request.all)
    for (const { snapshots, isSafety } of groupSnapshots(context.snapshots, context.isOwn))
      if (!isSafety) for (const one of newestOf(snapshots, request.last, context)) chosen.add(one);
  return groupSnapshots(newestOf([...chosen], chosen.size, context), context.isOwn);
}

function meantBy(target: string, last: number, context: FindContext): readonly Snapshot[] {
  const isName = target !== 'latest' && !target.includes('@');
  const named = isName ? lineage(targetName(parseTarget(target)), context) : [];
  const backups = groupSnapshots(named, context.isOwn).filter(({ isSafety }) => !isSafety);
  if (backups.length === 0) return [findSnapshot(target, context)];
  return newestOf(
    backups.flatMap(({ snapshots }) => snapshots),
    last,
    context,
  );
}

/** The newest first, by their known times; those with a time in the future last. */
function newestOf(snapshots: readonly Snapshot[], count: number, context: FindContext): Snapshot[] {
  const place = new Map(context.snapshots.map((one, index) => [one, index]));
  const rank = (one: Snapshot): number =>
    (place.get(one) ?? 0) - (isFuture(one, context) ? context.snapshots.length : 0);
  return snapshots.toSorted((a, b) => rank(b) - rank(a)).slice(0, count);
}

interface GroupWork {
  readonly group: VerifyGroup;
  readonly request: VerifyRequest;
}

async function verifyGroup(
  { repository, catalog }: Pick<SnapshotSources, 'repository' | 'catalog'>,
  { group, request }: GroupWork,
  { signal, onProgress, onNote }: JobOptions,
): Promise<VolumeVerification> {
  const snapshotIds = group.snapshots.map(({ id }) => id);
  const { readDataPercent } = request;
  const found = await repository.check({ readDataPercent, snapshotIds, signal, onProgress });
  const whole = new Set(found.wholeSnapshots);
  const gone = snapshotIds.filter((id) => !whole.has(id) && !found.damagedSnapshots.includes(id));
  if (gone.length > 0)
    onNote?.(`Snapshot ${quote(gone[0]?.slice(0, 8) ?? '')} was removed while it was verified.`);
  // A partial read cannot prove a snapshot whole, but may prove that it no longer is.
  catalog.noteVerifiedSnapshots(repository.id, {
    snapshotIds: readDataPercent === 100 ? found.wholeSnapshots : [],
    damagedIds: found.damagedSnapshots,
    verifiedAt: new Date().toISOString(),
  });
  return {
    name: group.name,
    snapshots: group.snapshots
      .filter(({ id }) => !gone.includes(id))
      .map(({ id, time }) => ({ id, time, isWhole: whole.has(id) })),
    bytesRead: found.bytesRead,
    errors: found.damagedSnapshots.length === 0 ? [] : found.errors,
  };
}
