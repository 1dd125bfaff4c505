/**
 * Saves volumes and directories at one moment, grades how still they were, and records what was done. Never
 * writes to what it saves. Begin with `backup.ts`, then `save-together.ts`; the grade is in `grade.ts`.
 */
export { backupJson, type BackupJson } from './as-json.ts';
export type { Anomaly } from './anomaly.ts';
export {
  importArchives,
  type ArchiveOutcome,
  type ImportArchivesReport,
  type ImportArchivesRequest,
} from './archives/import-archives.ts';
export type { BackupOutcome, BackupReport, BackupRequest } from './backup-types.ts';
export { backup, type BackupAccess } from './backup.ts';
export { isLedAway, refuseBehindLink, savedThroughLink } from './behind-link.ts';
export { isSavedConfig } from './config-files/collect-config.ts';
export { describeVolume } from './describe-volume.ts';
export { ownFoldersBelow } from './own-folders.ts';
export { saveTogether } from './save-together.ts';
export { inspectComposeSettings } from './settings/compose-settings.ts';
export { readStackFiles, saidOf, type Around } from './settings/said-settings.ts';
export {
  layered,
  noSettings,
  schedulePattern,
  settingFields,
  settingsOf,
  type VolumeSettings,
} from './settings/volume-settings.ts';
export { summarize, type RestoreChanges } from './summarize-changes.ts';
export { allVolumes, tellingOfFailure } from './tell-of-backup.ts';
export { chooseSettings } from './choose-settings.ts';
