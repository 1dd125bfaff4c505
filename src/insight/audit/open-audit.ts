import { audit } from './audit.ts';
import { type AuditReport, countBySeverity } from './audit-report.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';
import { auditSarif } from './as-sarif.ts';

/** Says of a stack, a file or the whole host what is not set up well. */
export interface Audit {
  /** Changes nothing but a baseline that is asked for. `not-found` where there is no such target. */
  run(request: AuditRequest): Promise<AuditReport>;
  readonly asJson: { run(report: AuditReport): object };
  /** SARIF 2.1.0. */
  asSarif(report: AuditReport, directory: string): object;
}

export function openAudit(sources: AuditSources): Audit {
  return {
    run: (request) => audit(sources, request),
    asJson: {
      run: ({ findings, known, suppressed, files, containers, volumes, notes }) => ({
        counts: countBySeverity(findings),
        findings,
        known,
        suppressed,
        looked: { files, containers, volumes },
        notes,
      }),
    },
    asSarif: auditSarif,
  };
}
