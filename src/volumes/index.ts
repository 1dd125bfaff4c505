/**
 * The life of a volume, wherever it lies: create, clone, copy, export, import, migrate, remove, prune, the trash. `managed/`
 * has those that Holdfast keeps itself. No data is deleted past the trash unless that was asked for. Begin with
 * `open-engine.ts`, and with `managed/managed-volumes.ts`.
 */
export { decompressed } from './archive-format.ts';
export { listBindMounts, type BindMount, type RealPlace } from './bind-mounts/bind-mounts.ts';
export { lookAround, type Surroundings } from './bind-mounts/look-around.ts';
export { isOfMachine } from './bind-mounts/machine-path.ts';
export { pathIdentity, volumeIdentity } from './identity.ts';
export { processHoldId } from './managed/hold-id.ts';
export { openManagedHost, type ManagedHost } from './managed/managed-host.ts';
export type * from './managed/managed-volumes.ts';
export type * from './migrate/migrations.ts';
export { openMigrations } from './migrate/migrations.ts';
export { exists, inodeOf, nameOf, parentOf, syncAll, syncFolder, takenByOther } from './on-disk.ts';
export { openEngine } from './open-engine.ts';
export type { ProtectedNames } from './protection.ts';
export { listTrash, restoreTrash, type RestoreTrashOptions } from './restore-trash.ts';
export { runCommand } from './run/run-command.ts';
export type { RunOptions, RunReport, RunRequest } from './run/run-types.ts';
export {
  findVolume,
  resolveTargets,
  type BackupTarget,
  type PathTarget,
  type TargetRequest,
} from './targets.ts';
export { openForeignTrash, type ForeignTrash, type ForeignVolume } from './trash-foreign.ts';
export {
  dropUndo,
  forgetUndo,
  isUndoable,
  listUndoRecords,
  undoIdOf,
  writeUndoRecord,
  type UndoRecord,
} from './undo-records.ts';
export { WatchedSizes } from './usage/watched-sizes.ts';
export type * from './volume-engine.ts';
export { whySkipped } from './why-skipped.ts';
