/**
 * Proof that backups can be restored: `check` (the repository's data), `verify` (a snapshot beside its
 * volume) and drills (a snapshot started as its container). Never touches a live volume or container. Begin
 * with `proof.ts`; a drill with `drill/drill.ts`.
 */
export type { CheckRequest } from './check.ts';
export type { DrillReport, DrillRequest } from './drill/drill-types.ts';
export { removeLeftTrials } from './drill/trial.ts';
export type * from './proof.ts';
export { openProof } from './proof.ts';
export type { VerifyReport, VerifyRequest } from './verify.ts';
