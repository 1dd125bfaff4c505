import type { WorkOptions } from '../work-options.ts';

export interface CopyOptions extends WorkOptions {
  /** Whole ids; undefined copies all snapshots. */
  readonly snapshotIds?: readonly string[] | undefined;
  /** Says what would be copied, and copies nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface CopiedSnapshot {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** In the target; undefined for a dry run. */
  readonly newId: string | undefined;
}

export interface FailedCopy {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** Why it was not copied: what of it is damaged or missing. */
  readonly message: string;
}

export interface CopyReport {
  readonly dryRun: boolean;
  readonly copied: readonly CopiedSnapshot[];
  /** Those that the target has already; `newId` is what they are there. */
  readonly present: readonly CopiedSnapshot[];
  readonly failed: readonly FailedCopy[];
  /** What had to be copied for them, as it is stored in the target. */
  readonly blobs: number;
  readonly bytes: number;
}
