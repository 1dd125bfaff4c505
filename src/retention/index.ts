/**
 * Which snapshots may go, and what goes with them: rules, forget, tags. Removes nothing that a plan has not shown. Begin
 * with `retention.ts`; what goes and why is decided in `forget-plan.ts`.
 */
export type { ForgetPlan } from './forget-plan.ts';
export type { ForgetReport, ForgetRequest } from './forget.ts';
export { openRetention } from './retention.ts';
export type * from './retention.ts';
