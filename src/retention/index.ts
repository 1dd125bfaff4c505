/**
 * Which snapshots may go, and which data with them: rules, forget, tags. Removes nothing that a plan has not
 * shown. Begin with `retention.ts`; `forget-plan.ts` decides what goes and why.
 */
export type { ForgetPlan } from './forget-plan.ts';
export type { ForgetReport, ForgetRequest } from './forget.ts';
export { openRetention } from './retention.ts';
export type * from './retention.ts';
