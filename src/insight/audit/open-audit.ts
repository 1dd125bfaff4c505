import type { BackupReport } from '../../backup/index.ts';
import type { HostVolumes } from '../../volumes/index.ts';
import { auditSarif } from './as-sarif.ts';
import { audit } from './audit.ts';
import { type AuditReport, countBySeverity } from './audit-report.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';
import { applyMove, type MoveReport } from './fix/apply-move.ts';
import { composeProgram } from './fix/compose-program.ts';
import { type DataMove, type FixPlan, planMoves } from './fix/plan-moves.ts';
import { gatherView } from './gather-view.ts';

/** Says of a stack, a file or the whole host what is not set up well. */
export interface Audit {
  /** Changes nothing but a baseline that is asked for. `not-found` where there is no such target. */
  run(request: AuditRequest): Promise<AuditReport>;
  /** What could be mended, and what has to be done by hand. Changes nothing. */
  planFix(request: AuditRequest): Promise<FixPlan>;
  /**
   * Moves data back to the volume that was meant for it. When it throws, the app runs as before, or the error
   * says where its data is.
   */
  applyFix(move: DataMove, options?: { readonly signal?: AbortSignal | undefined }): Promise<MoveReport>;
  readonly asJson: { run(report: AuditReport): object };
  /** SARIF 2.1.0. */
  asSarif(report: AuditReport, directory: string): object;
}

/** What a fix works with, besides what an audit asks. */
export interface FixMeans {
  readonly stateDir: string;
  readonly volumes: () => Promise<Pick<HostVolumes, 'clone'>>;
  /** Saves volumes, each as a snapshot. */
  readonly backUp: (volumes: readonly string[], signal: AbortSignal | undefined) => Promise<BackupReport>;
}

/** The audit over these sources. Opens nothing by itself: each source is asked when a call needs it. */
export function openAudit(sources: AuditSources, means: FixMeans): Audit {
  return {
    run: (request) => audit(sources, request),
    async planFix(request) {
      const { view, stack } = await gatherView(sources, request);
      return planMoves(view, stack);
    },
    applyFix: (move, { signal } = {}) =>
      applyMove(
        { ...means, host: sources.host, compose: composeProgram({ ...sources, stateDir: means.stateDir }) },
        move,
        signal,
      ),
    asJson: {
      run: ({ findings, known, suppressed, files, containers, volumes, refused, notes }) => ({
        counts: countBySeverity(findings),
        findings,
        known,
        suppressed,
        looked: { files, containers, volumes },
        refused,
        notes,
      }),
    },
    asSarif: auditSarif,
  };
}
