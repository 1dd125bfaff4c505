import type { AnomalyKind } from '../model/policy-run.ts';
import { formatSize } from '../model/size.ts';
import type { SnapshotSummary } from '../model/snapshot.ts';

export interface Anomaly {
  readonly kind: AnomalyKind;
  /** Follows the volume's name in a sentence. */
  readonly message: string;
}

/** Less than this says nothing: a small volume may do what it likes. */
const leastBytes = 4 << 20;
const leastFiles = 20;

/** What is left of it is less than this part. */
const shrunkTo = 0.5;
/** It is more than so many times as large. */
const grownTo = 4;
/** Of the files, so many are not as they were. */
const changedPart = 0.8;
/** Random bytes, and encrypted ones, stay as large as they are. */
const incompressible = 0.97;
/** What was in the volume before could be compressed to this at least. */
const wasCompressible = 0.92;

/**
 * What about a volume looks like damage, from what its last two backups saw; pure. `before` is the last whole snapshot
 * before `now`. It is a reason to ask, not a proof: a restore, a clean-up and a new archive look the same.
 */
export function findAnomalies(before: SnapshotSummary | undefined, now: SnapshotSummary): Anomaly[] {
  if (before === undefined) return [];
  return [shrinkage(before, now), growth(before, now), noise(before, now)].filter((one) => one !== undefined);
}

function shrinkage(before: SnapshotSummary, now: SnapshotSummary): Anomaly | undefined {
  const bytesLost = before.bytes >= leastBytes && now.bytes < before.bytes * shrunkTo;
  const filesLost = before.files >= leastFiles && now.files < before.files * shrunkTo;
  if (!bytesLost && !filesLost) return undefined;
  const message = bytesLost
    ? `shrank from ${formatSize(before.bytes)} to ${formatSize(now.bytes)}`
    : `shrank from ${before.files} files to ${now.files}`;
  return { kind: 'shrank', message };
}

function growth(before: SnapshotSummary, now: SnapshotSummary): Anomaly | undefined {
  // A volume that was nearly empty is being filled.
  if (before.bytes < leastBytes || now.bytes <= before.bytes * grownTo) return undefined;
  return { kind: 'grew', message: `grew from ${formatSize(before.bytes)} to ${formatSize(now.bytes)}` };
}

/** As when something has encrypted it: nearly all of it is new, and none of it can be compressed. */
function noise(before: SnapshotSummary, now: SnapshotSummary): Anomaly | undefined {
  if (!isTouched(before, now) || !isAdded(now)) return undefined;
  if (now.bytesStored < now.bytesAdded * incompressible) return undefined;
  return {
    kind: 'noise',
    message: `turned to noise: ${touchedOf(now)} of ${now.files} files are new or changed, and none of it can be compressed`,
  };
}

/**
 * True when nearly all files are new or changed, and what they hold was stored before this backup: by an attempt that came
 * to nothing, say. Then what was added says nothing of what they hold.
 */
export function mayHideNoise(before: SnapshotSummary, now: SnapshotSummary): boolean {
  return isTouched(before, now) && !isAdded(now);
}

function isTouched(before: SnapshotSummary, now: SnapshotSummary): boolean {
  const isMost = now.files > 0 && touchedOf(now) >= now.files * changedPart;
  if (!isMost || now.bytes < leastBytes) return false;
  // A volume of photos is noise from the start: then only what is known to have been otherwise counts.
  return before.bytesAdded < leastBytes || before.bytesStored / before.bytesAdded <= wasCompressible;
}

function isAdded({ bytes, bytesAdded }: SnapshotSummary): boolean {
  return bytesAdded >= bytes * changedPart;
}

function touchedOf({ files, filesNew, filesChanged }: SnapshotSummary): number {
  return Math.min(files, filesNew + filesChanged);
}
