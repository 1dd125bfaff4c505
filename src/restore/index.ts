/**
 * Brings data back: plans, makes it ready beside, swaps, undoes, and settles what a kill left half done.
 * Gives up the old data only after the new is proven. Begin with `restoring.ts`, then `restore.ts`; after a
 * kill, `recovery.ts`.
 */
export { chooseRestorePoint } from './choose-restore-point.ts';
export { recoverStreamed, type RecoveredVolume } from './recover-streamed.ts';
export { recoverMore, type RecoverReport, type RecoveredJob } from './recover.ts';
export { isAnythingLeft, nothingRecovered, recoverHost, recoverOwnVolumes } from './recovery.ts';
export { planRestore } from './restore-plan.ts';
export { applyRestore, type ApplyScope } from './restore.ts';
export type * from './restoring.ts';
export { openRestores } from './restoring.ts';
export { refuseHalfRestored, settleHeld } from './settle.ts';
export { listStreamed, savedIn } from './streamed-journal.ts';
