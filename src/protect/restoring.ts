import type { DumpRestorePlan, DumpRestoreReport, DumpRestoreRequest } from './presets/restore-dump.ts';
import type { JobOptions, Protection } from './protection.ts';
import type { RestorePlan, RestoreRequest } from './restore-plan.ts';
import type { StackPlan, StackReport, StackRequest } from './restore-stack.ts';
import type { RestoreReport } from './restore-report.ts';
import type { UndoRecord } from './undo-records.ts';
import type { UndoPlan, UndoReport, UndoRequest } from './undo.ts';

/** What brings data back, and what takes that back. Nothing is touched before a plan is carried out. */
export interface Restoring {
  /** What a restore would do; nothing is touched. */
  planRestore(request: RestoreRequest, options?: JobOptions): Promise<RestorePlan>;
  /** Carries a plan out. A failure leaves the volume as it was. */
  applyRestore(plan: RestorePlan, options?: JobOptions): Promise<RestoreReport>;
  /** What feeding the dumps of a snapshot to a running database would do; nothing is touched. */
  planDumpRestore(request: DumpRestoreRequest, options?: JobOptions): Promise<DumpRestorePlan>;
  /** Carries it out. What is there is saved before. */
  applyDumpRestore(plan: DumpRestorePlan, options?: JobOptions): Promise<DumpRestoreReport>;
  /** What restoring all volumes of a stack would do; nothing is touched. */
  planStackRestore(request: StackRequest, options?: JobOptions): Promise<StackPlan>;
  /** Carries it out: all of it, or nothing is changed. */
  applyStackRestore(plan: StackPlan, options?: JobOptions): Promise<StackReport>;
  /** What bringing back the data before a restore would do; nothing is touched. */
  planUndo(request: UndoRequest, options?: JobOptions): Promise<UndoPlan>;
  /** Carries it out. A failure leaves everything as it was. */
  applyUndo(plan: UndoPlan, options?: JobOptions): Promise<UndoReport>;
  /** What is kept for an undo, oldest first. */
  listUndo(): Promise<UndoRecord[]>;
  /** Deletes what is kept of one restore. Permanent. */
  dropUndo(request: Pick<UndoRequest, 'what'>, options?: JobOptions): Promise<UndoRecord[]>;
}

export interface RestoringParts extends Protection {
  /** A restore is about to be planned: what takes its time is started at once. */
  expectRestore(): void;
}

export function openRestoring(parts: RestoringParts): Restoring {
  return {
    async planRestore(request, options = {}) {
      parts.expectRestore();
      const { planRestore } = await import('./restore-plan.ts');
      return await planRestore(parts, request, options);
    },
    async applyRestore(plan, options = {}) {
      const { applyRestore } = await import('./restore.ts');
      return await applyRestore(parts, plan, options);
    },
    async planDumpRestore(request, options = {}) {
      const { planDumpRestore } = await import('./presets/restore-dump.ts');
      return await planDumpRestore(parts, request, options);
    },
    async applyDumpRestore(plan, options = {}) {
      const { applyDumpRestore } = await import('./presets/restore-dump.ts');
      return await applyDumpRestore(parts, plan, options);
    },
    async planStackRestore(request, options = {}) {
      const { planStackRestore } = await import('./restore-stack.ts');
      return await planStackRestore(parts, request, options);
    },
    async applyStackRestore(plan, options = {}) {
      const { applyStackRestore } = await import('./restore-stack.ts');
      return await applyStackRestore(parts, plan, options);
    },
    async planUndo(request, options = {}) {
      const { planUndo } = await import('./undo.ts');
      return await planUndo(parts, request, options);
    },
    async applyUndo(plan, options = {}) {
      const { applyUndo } = await import('./undo.ts');
      return await applyUndo(parts, plan, options);
    },
    async listUndo() {
      const { listUndo } = await import('./undo.ts');
      return await listUndo(parts);
    },
    async dropUndo(request, options = {}) {
      const { dropKept } = await import('./undo.ts');
      return await dropKept(parts, request, options);
    },
  };
}

export type { RestorePlan, RestoreReport, RestoreRequest, StackPlan, StackReport, StackRequest };
export type { UndoPlan, UndoRecord, UndoReport, UndoRequest };
