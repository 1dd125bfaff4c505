import type { ArchiveOutcome, ImportArchivesReport } from './archives/import-archives.ts';
import type { BackupReport } from './backup-types.ts';

/** The JSON form of the room's reports. */
export interface BackupJson {
  report(report: BackupReport): object;
  importReport(report: ImportArchivesReport): object;
}

export const backupJson: BackupJson = { report: reportAsJson, importReport: importAsJson };

function reportAsJson(report: BackupReport): object {
  return {
    dryRun: report.dryRun,
    outcomes: report.outcomes.map(({ error, snapshot, ...outcome }) => ({
      ...outcome,
      snapshotId: snapshot?.id ?? null,
      restorePoint: snapshot?.restorePoint ?? null,
      missing: snapshot?.missing ?? [],
      config: snapshot?.config ?? null,
      error: error === undefined ? null : { code: error.code, message: error.message },
    })),
    skipped: report.skipped,
  };
}

function importAsJson({ dryRun, outcomes }: ImportArchivesReport): object {
  return {
    dryRun,
    outcomes: outcomes.map(({ error, snapshot, ...outcome }: ArchiveOutcome) => ({
      ...outcome,
      snapshotId: snapshot?.id ?? null,
      error: error === undefined ? null : { code: error.code, message: error.message },
    })),
  };
}
