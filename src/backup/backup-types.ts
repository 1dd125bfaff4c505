import type { RunRecord } from '../catalog/catalog.ts';
import type { AppError } from '../model/errors.ts';
import type { Grade, GradeEvidence, SaveProblem, Snapshot, SnapshotSummary } from '../model/snapshot.ts';
import type { Anomaly } from './anomaly.ts';
import type { TargetRequest } from '../volumes/index.ts';
import type { SaidSetting, SettingsRequest } from './choose-settings.ts';

export interface BackupRequest extends TargetRequest, SettingsRequest {
  readonly dryRun: boolean;
  /** What another machine saved under the same name is this one's from then on: this one takes its place. */
  readonly takeOver?: boolean | undefined;
  /** Tags that every snapshot has besides, whatever is said of tags. */
  readonly marks?: readonly string[] | undefined;
}

/** What became of one volume or directory. */
export interface BackupOutcome {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  readonly outcome: RunRecord['outcome'];
  /** Undefined for a dry run, and where nothing was saved. */
  readonly snapshot: Snapshot | undefined;
  readonly summary: SnapshotSummary | undefined;
  readonly grade: Grade | undefined;
  readonly gradeReason: string | undefined;
  /** Why it has that grade, as it is recorded. */
  readonly evidence?: GradeEvidence | undefined;
  readonly problems: readonly SaveProblem[];
  /** What the way to the data cannot carry. */
  readonly limits: readonly string[];
  /** What looks like damage, beside what was saved before. */
  readonly anomalies?: readonly Anomaly[] | undefined;
  /** What somebody has said of how it is saved, and where; undefined where nobody got as far as to ask. */
  readonly settings?: readonly SaidSetting[] | undefined;
  readonly error: AppError | undefined;
}

export interface BackupReport {
  readonly dryRun: boolean;
  readonly outcomes: readonly BackupOutcome[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}
