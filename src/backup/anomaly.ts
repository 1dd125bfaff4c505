import type { AnomalyKind } from '../model/policy-run.ts';
import { formatSize } from '../model/size.ts';
import type { SnapshotSummary } from '../model/snapshot.ts';

export interface Anomaly {
  readonly kind: AnomalyKind;
  /** Follows the volume's name in a sentence. */
  readonly message: string;
}

/** A smaller volume may change in any way. */
const leastBytes = 4 << 20;
const leastFiles = 20;

/** Less than this share is left. */
const shrunkTo = 0.5;
/** It is more than so many times as large. */
const grownTo = 4;
/** This share of the files has changed. */
const changedPart = 0.8;
/** Random and encrypted bytes do not compress. */
const incompressible = 0.97;
/** The earlier contents compressed to this share or less. */
const wasCompressible = 0.92;

/**
 * What looks like damage in a volume, from its last two backups; pure. `before` is the last whole snapshot
 * before `now`. A reason to ask, not a proof: a restore, a clean-up and a new archive look the same.
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

/** As after encryption by malware: nearly everything is new, and nothing compresses. */
function noise(before: SnapshotSummary, now: SnapshotSummary): Anomaly | undefined {
  if (!isTouched(before, now) || !isAdded(now)) return undefined;
  if (now.bytesStored < now.bytesAdded * incompressible) return undefined;
  return {
    kind: 'noise',
    message: `turned to noise: ${touchedOf(now)} of ${now.files} files are new or changed, and none of it can be compressed`,
  };
}

/**
 * True when nearly all files are new or changed, but their contents were stored before this backup, for
 * example by a failed attempt. The added bytes then say nothing about the contents.
 */
export function mayHideNoise(before: SnapshotSummary, now: SnapshotSummary): boolean {
  return isTouched(before, now) && !isAdded(now);
}

function isTouched(before: SnapshotSummary, now: SnapshotSummary): boolean {
  const isMost = now.files > 0 && touchedOf(now) >= now.files * changedPart;
  if (!isMost || now.bytes < leastBytes) return false;
  // A volume of photos never compresses, so only one that is known to have compressed counts.
  return before.bytesAdded < leastBytes || before.bytesStored / before.bytesAdded <= wasCompressible;
}

function isAdded({ bytes, bytesAdded }: SnapshotSummary): boolean {
  return bytesAdded >= bytes * changedPart;
}

function touchedOf({ files, filesNew, filesChanged }: SnapshotSummary): number {
  return Math.min(files, filesNew + filesChanged);
}
