import type { Catalog } from '../catalog/catalog.ts';
import type { Snapshot, SnapshotSummary } from '../model/snapshot.ts';
import { quote } from '../model/quote.ts';
import type { Repository } from '../repository/index.ts';
import { type Anomaly, findAnomalies, mayHideNoise } from './anomaly.ts';
import type { BackupOutcome } from './backup-types.ts';
import { isSavedAs, safetyTag } from '../snapshots/index.ts';
import { policyOfTags } from '../model/policy.ts';
import type { JobOptions } from '../activity/index.ts';

interface Saved {
  readonly repository: Pick<Repository, 'stats'>;
  readonly snapshot: Snapshot | undefined;
  readonly summary: SnapshotSummary;
  /** All earlier snapshots, oldest first as far as their order is known. */
  readonly earlier: readonly Snapshot[];
}

/**
 * What looks like damage in the new snapshot, compared with the last whole snapshot that was judged itself:
 * one whose backup was killed before that must not hide what it saw.
 */
export async function judgeSaved(
  catalog: Pick<Catalog, 'listRuns'>,
  { repository, snapshot, summary, earlier }: Saved,
  { signal }: Pick<JobOptions, 'signal'>,
): Promise<readonly Anomaly[]> {
  const identity = snapshot?.volume?.identity;
  if (snapshot === undefined || identity === undefined) return [];
  const whole = earlier.filter(
    (other) =>
      other.volume?.identity === identity &&
      other.problemCount === 0 &&
      !other.tags.includes(safetyTag) &&
      other.summary !== undefined &&
      // What is left out on purpose looks like a loss.
      JSON.stringify(other.excludes ?? []) === JSON.stringify(snapshot.excludes ?? []),
  );
  const runs = catalog.listRuns({ volumeIdentity: identity, limit: 50 });
  const judged = new Set(runs.flatMap(({ snapshotId }) => snapshotId ?? []));
  const before = whole.findLast((one) => isSavedAs(one, judged)) ?? whole.at(-1);
  const now = sinceBefore({ before, identity, earlier }, summary);
  if (before?.summary === undefined) return [];
  const own = mayHideNoise(before.summary, now)
    ? await addedSince(repository, { before, snapshot }, signal)
    : undefined;
  return findAnomalies(before.summary, { ...now, ...own });
}

/**
 * What a snapshot needs beyond another, whenever it was stored; undefined when unknown. Compressibility is
 * measured on all that it needs.
 */
async function addedSince(
  repository: Pick<Repository, 'stats'>,
  { before, snapshot }: { readonly before: Snapshot; readonly snapshot: Snapshot },
  signal: AbortSignal | undefined,
): Promise<Pick<SnapshotSummary, 'bytesAdded' | 'bytesStored'> | undefined> {
  try {
    const { groups } = await repository.stats({ groups: [[before], [snapshot]], signal });
    const [, { ownBytes, uncompressedBytes, storedBytes } = emptyStats] = groups;
    const bytesAdded = storedBytes === 0 ? 0 : Math.round((ownBytes * uncompressedBytes) / storedBytes);
    return { bytesAdded, bytesStored: ownBytes };
  } catch {
    // The backup is good without it.
    return undefined;
  }
}

const emptyStats = { ownBytes: 0, uncompressedBytes: 0, storedBytes: 0 };

interface Chain {
  readonly before: Snapshot | undefined;
  readonly identity: string;
  readonly earlier: readonly Snapshot[];
}

/**
 * A summary counts what is new or changed since the snapshot just before. Where the reference is an older one
 * (after a safety snapshot, or a killed backup), adds the counts of those in between.
 */
function sinceBefore({ before, identity, earlier }: Chain, now: SnapshotSummary): SnapshotSummary {
  if (before === undefined) return now;
  const between = earlier
    .slice(earlier.indexOf(before) + 1)
    .flatMap(({ volume, summary }) => (volume?.identity === identity ? (summary ?? []) : []));
  const sum = (count: (summary: SnapshotSummary) => number): number =>
    [...between, now].reduce((total, summary) => total + count(summary), 0);
  return {
    ...now,
    filesNew: sum(({ filesNew }) => filesNew),
    filesChanged: sum(({ filesChanged }) => filesChanged),
    bytesAdded: sum(({ bytesAdded }) => bytesAdded),
    bytesStored: sum(({ bytesStored }) => bytesStored),
  };
}

interface Found {
  readonly outcome: BackupOutcome;
  readonly volumeIdentity: string;
  readonly repositoryId: string;
  readonly tags: readonly string[];
}

/** Until a user accepts it, policies forget and prune nothing of the volume. */
export function rememberAnomalies(
  { policies }: Pick<Catalog, 'policies'>,
  { outcome, volumeIdentity, repositoryId, tags }: Found,
  { onNote }: JobOptions,
): void {
  const { name, snapshot, anomalies = [] } = outcome;
  if (snapshot === undefined || anomalies.length === 0) return;
  const foundAt = new Date().toISOString();
  for (const { kind, message } of anomalies) {
    const about = { volumeIdentity, volumeName: name, foundAt, acceptedAt: undefined };
    policies.recordAnomaly({ ...about, repositoryId, snapshotId: snapshot.id, kind, message });
    // A policy reports it itself.
    if (policyOfTags(tags) === undefined)
      onNote?.(
        `Warning: ${quote(name)} ${message}. Policies forget and prune nothing of it until you look: holdfast policy accept ${name}`,
      );
  }
}
