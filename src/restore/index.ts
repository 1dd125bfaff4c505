/**
 * Brings data back: plan, make it ready beside, swap, undo, and ends what a kill left half done. The data that was there is
 * given up only after what replaces it is proven. Begin with `restoring.ts`, then `restore.ts`; after a kill, `recovery.ts`.
 */
export { chooseRestorePoint } from './choose-restore-point.ts';
export { recoverStreamed, type RecoveredVolume } from './recover-streamed.ts';
export { recoverMore, type RecoverReport, type RecoveredJob } from './recover.ts';
export { isAnythingLeft, nothingRecovered, recoverHost, recoverOwnVolumes } from './recovery.ts';
export { planRestore } from './restore-plan.ts';
export { applyRestore } from './restore.ts';
export type * from './restoring.ts';
export { openRestores } from './restoring.ts';
export { settleHeld } from './settle.ts';
export { listStreamed, savedIn } from './streamed-journal.ts';
