import type { Finding, Severity } from '../../model/finding.ts';
import type { Suppression } from './suppressions.ts';

/** One finding of a rule, as a baseline and SARIF know it again. */
export interface AuditFinding extends Finding {
  /** Equal at every audit for the same finding, whatever line it stands at. */
  readonly fingerprint: string;
  /** The guide’s section of its rule, from the root of the project. */
  readonly guide: string;
}

export interface SuppressedFinding extends AuditFinding {
  readonly suppression: Suppression;
}

export interface AuditReport {
  /** Those that count, the worst first. */
  readonly findings: readonly AuditFinding[];
  readonly suppressed: readonly SuppressedFinding[];
  /** In the baseline already. */
  readonly known: readonly AuditFinding[];
  /** What was looked at. */
  readonly files: readonly string[];
  readonly containers: number;
  readonly volumes: number;
  /** What Compose refuses of the files: services and volumes that no rule could look at. */
  readonly refused: readonly string[];
  /** What could not be looked at, and what else people should know. */
  readonly notes: readonly string[];
  /** The baseline that was written by this audit. */
  readonly baselineWritten: string | undefined;
}

/** How many findings of each severity count. Pure. */
export function countBySeverity(findings: readonly AuditFinding[]): Readonly<Record<Severity, number>> {
  const counts = { loss: 0, leak: 0, downtime: 0, hygiene: 0 };
  for (const { severity } of findings) counts[severity] += 1;
  return counts;
}
