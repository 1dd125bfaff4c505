/**
 * What is well and what is not, before it costs data: audit (is a stack set up well), doctor (what is wrong
 * now), usage (what fills up), benchmarks (how fast a volume is) and metrics. Joins the Compose file, the
 * running host and what the image declares. Looks, and changes nothing by itself: a fix is a plan that is
 * shown, asked for, and carried out by the rooms below. Never prints a secret. Begin with `audit/audit.ts`.
 */
export type { AuditFinding, AuditReport, SuppressedFinding } from './audit/audit-report.ts';
export type { AuditRequest } from './audit/audit-request.ts';
export type { MoveReport } from './audit/fix/apply-move.ts';
export type { DataMove, FixPlan } from './audit/fix/plan-moves.ts';
export { openAudit, type Audit } from './audit/open-audit.ts';
export type { FixOutcome } from './doctor/apply-fix.ts';
export type { DoctorFinding } from './doctor/diagnosis.ts';
export { openDoctor, type Doctor } from './doctor/doctor.ts';
export type { DoctorReport } from './doctor/report.ts';
export { removeLeftBenchmarks } from './benchmarks/bench-folder.ts';
export {
  openBenchmarks,
  type Benchmarks,
  type BenchReport,
  type BenchRequest,
  type VolumeBenchmark,
} from './benchmarks/benchmarks.ts';
export type { Metrics, MetricsExporter, MetricsReport } from './metrics/metrics.ts';
export { openMetrics } from './metrics/metrics.ts';
export { currentSizes } from './usage/df-report.ts';
export { lastSizes, type LastSizes, type SizedDisk, type SizedVolume } from './usage/last-sizes.ts';
export {
  dfJson,
  openUsage,
  type DfReport,
  type DfRequest,
  type SizeKeeper,
  type Usage,
} from './usage/usage.ts';
export type { Rates, TopContainer, TopReport, TopVolume } from './usage/top/plan-top.ts';
