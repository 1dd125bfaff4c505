import type { JobOptions } from '../activity/index.ts';
import type { BackupAccess } from '../backup/index.ts';
import { openSources } from '../snapshots/index.ts';
import type { UndoRecord } from '../volumes/index.ts';
import { restoreJson, type RestoreJson } from './as-json.ts';
import {
  applyDumpRestore,
  type DumpRestorePlan,
  type DumpRestoreReport,
  type DumpRestoreRequest,
  planDumpRestore,
} from './restore-dump.ts';
import { planRestore, type RestorePlan, type RestoreRequest } from './restore-plan.ts';
import {
  applyStackRestore,
  planStackRestore,
  type StackPlan,
  type StackReport,
  type StackRequest,
} from './restore-stack.ts';
import { type ApplyScope, type RestoreReport, applyRestore } from './restore.ts';
import {
  applyUndo,
  dropKept,
  listUndo,
  planUndo,
  type UndoPlan,
  type UndoReport,
  type UndoRequest,
} from './undo.ts';

/** Brings data back, and undoes that. Nothing changes before a plan is carried out. */
export interface Restores {
  readonly asJson: RestoreJson;
  /** What a restore would do; changes nothing. */
  plan(request: RestoreRequest, options?: JobOptions): Promise<RestorePlan>;
  /** Carries a plan out. A failure leaves the volume as it was. */
  apply(plan: RestorePlan, options?: JobOptions): Promise<RestoreReport>;
  /** What feeding a snapshot's dumps to a running database would do; changes nothing. */
  planDump(request: DumpRestoreRequest, options?: JobOptions): Promise<DumpRestorePlan>;
  /** Carries it out. Saves the current data first. */
  applyDump(plan: DumpRestorePlan, options?: JobOptions): Promise<DumpRestoreReport>;
  /** What restoring all volumes of a stack would do; changes nothing. */
  planStack(request: StackRequest, options?: JobOptions): Promise<StackPlan>;
  /** Carries it out: all of it, or nothing changes. */
  applyStack(plan: StackPlan, options?: JobOptions): Promise<StackReport>;
  /** What bringing back the data before a restore would do; changes nothing. */
  planUndo(request: UndoRequest, options?: JobOptions): Promise<UndoPlan>;
  /** Carries it out. A failure leaves everything as it was. */
  applyUndo(plan: UndoPlan, options?: JobOptions): Promise<UndoReport>;
  /** What is kept for an undo, oldest first. */
  listUndo(): Promise<UndoRecord[]>;
  /** Deletes the data kept of one restore. Permanent. */
  dropUndo(request: Pick<UndoRequest, 'what'>, options?: JobOptions): Promise<UndoRecord[]>;
}

export interface RestoresAccess extends BackupAccess {
  /** Announces a restore, so that slow preparations start at once. Dispose when the plan is made. */
  readonly expectRestore: () => Disposable;
}

/** Opens nothing by itself: each call opens the repository and the catalog that it needs. */
export function openRestores(access: RestoresAccess): Restores {
  const { stateDir, log } = access;
  const open = async (): Promise<ApplyScope> => ({ ...(await openSources(access)), stateDir, log });
  return {
    asJson: restoreJson,
    async plan(request, options = {}) {
      using _expected = access.expectRestore();
      return await planRestore(await open(), request, options);
    },
    apply: async (request, options = {}) => await applyRestore(await open(), request, options),
    planDump: async (request, options = {}) => await planDumpRestore(await open(), request, options),
    applyDump: async (request, options = {}) => await applyDumpRestore(access, request, options),
    planStack: async (request, options = {}) => await planStackRestore(await open(), request, options),
    applyStack: async (request, options = {}) => await applyStackRestore(await open(), request, options),
    planUndo: async (request, options = {}) => await planUndo(access, request, options),
    applyUndo: async (request, options = {}) => await applyUndo(access, request, options),
    listUndo: async () => await listUndo(stateDir),
    dropUndo: async (request, options = {}) => await dropKept(access, request, options),
  };
}

export type { RestorePlan, RestoreReport, RestoreRequest, StackPlan, StackReport, StackRequest };
export type { UndoPlan, UndoRecord, UndoReport, UndoRequest };
