import type { RunRecord } from '../catalog/catalog.ts';
import type { AppError } from '../model/errors.ts';
import type { Grade, GradeEvidence, SaveProblem, Snapshot, SnapshotSummary } from '../model/snapshot.ts';
import type { Anomaly } from './anomaly.ts';
import type { TargetRequest } from '../volumes/index.ts';
import type { SaidSetting, SettingsRequest } from './choose-settings.ts';

export interface BackupRequest extends TargetRequest, SettingsRequest {
  readonly dryRun: boolean;
  /** Continues the lineage that another machine saved under the same name: this machine takes its place. */
  readonly takeOver?: boolean | undefined;
  /** Tags for every snapshot, in addition to the tags that settings give. */
  readonly marks?: readonly string[] | undefined;
}

/** The outcome for one volume or directory. */
export interface BackupOutcome {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  readonly outcome: RunRecord['outcome'];
  /** Undefined for a dry run, and where nothing was saved. */
  readonly snapshot: Snapshot | undefined;
  readonly summary: SnapshotSummary | undefined;
  readonly grade: Grade | undefined;
  readonly gradeReason: string | undefined;
  /** Why it has that grade, as recorded. */
  readonly evidence?: GradeEvidence | undefined;
  readonly problems: readonly SaveProblem[];
  /** What this access to the data cannot carry. */
  readonly limits: readonly string[];
  /** What looks like damage, compared with earlier snapshots. */
  readonly anomalies?: readonly Anomaly[] | undefined;
  /** The settings that were made, and where; undefined where the backup did not get that far. */
  readonly settings?: readonly SaidSetting[] | undefined;
  readonly error: AppError | undefined;
}

export interface BackupReport {
  readonly dryRun: boolean;
  readonly outcomes: readonly BackupOutcome[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}
