/**
 * Reports of the work: the chained log (`log/`) and notifications (`notify/`). Neither can fail the work that
 * it reports. Begin with `log/audit-log.ts` and `notify/plan-notice.ts`.
 */
export type { AuditLog, LogFilter, LoggedState, LogProblem, LogVerification } from './log/audit-log.ts';
export { logged } from './log/logged.ts';
export { openAuditLog } from './log/open-audit-log.ts';
export type { Channel } from './notify/channel.ts';
export { channelsShape } from './notify/channels-shape.ts';
export type { Happening, Notifier, SendResult } from './notify/notifier.ts';
export { openNotifier } from './notify/open-notifier.ts';
export type { JobOptions } from './job-options.ts';
