/**
 * The life of a volume, wherever it lies: create, clone, copy, export, import, migrate, remove, prune, the
 * trash. `managed/` has the managed volumes. Data is deleted past the trash only on request. Begin with
 * `open-host-volumes.ts` and `managed/managed-volumes.ts`.
 */
export { volumesJson, type VolumesJson } from './as-json.ts';
export { decompressed } from './archive-format.ts';
export {
  isOfMachine,
  listBindMounts,
  lookAround,
  type BindMount,
  type RealPlace,
  type Surroundings,
} from './bind-mounts.ts';
export { whySkipped } from './container-targets.ts';
export { findVolume } from './find-volume.ts';
export { processHoldId } from './managed/hold-id.ts';
export { openManagedHost, type ManagedHost } from './managed/managed-host.ts';
export type * from './managed/managed-volumes.ts';
export type * from './migrate/migrations.ts';
export { openMigrations } from './migrate/migrations.ts';
export { openHostVolumes } from './open-host-volumes.ts';
export type { ProtectedNames } from './remove-volumes.ts';
export { listTrash, restoreTrash, type RestoreTrashOptions } from './restore-trash.ts';
export type { RunOptions } from './run/place-mounts.ts';
export { runCommand, type RunReport, type RunRequest } from './run/run-command.ts';
export { resolveTargets, type BackupTarget, type PathTarget, type TargetRequest } from './targets.ts';
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
export { measureData } from './usage/measure-volumes.ts';
export { WatchedSizes, type Unwatched } from './usage/watched-sizes.ts';
export type { TreeSize } from './usage/watched-tree.ts';
export type * from './host-volumes.ts';
