import { toPrintable, toText } from '../model/byte-string.ts';
import type { UndoRecord } from '../volumes/index.ts';
import type { DumpRestorePlan, DumpRestoreReport } from './restore-dump.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { RestoreReport } from './restore.ts';
import type { StackPlan, StackReport } from './restore-stack.ts';
import type { UndoPlan } from './undo.ts';

/** The JSON form of the room's plans and reports. */
export interface RestoreJson {
  plan(plan: RestorePlan): object;
  report(report: RestoreReport, plan: RestorePlan): object;
  stackPlan(plan: StackPlan): object;
  stackReport(report: StackReport, plan: StackPlan): object;
  dumpPlan(plan: DumpRestorePlan): object;
  dumpReport(report: DumpRestoreReport): object;
  undoPlan(plan: UndoPlan): object;
  undoRecord(record: UndoRecord): object;
}

export const restoreJson: RestoreJson = {
  plan: planAsJson,
  report: reportAsJson,
  stackPlan: stackPlanAsJson,
  stackReport: stackReportAsJson,
  dumpPlan: dumpPlanAsJson,
  dumpReport: dumpReportAsJson,
  undoPlan: undoPlanAsJson,
  undoRecord: undoRecordAsJson,
};

function planAsJson(plan: RestorePlan): object {
  const { snapshot, destination, changes } = plan;
  return {
    snapshotId: snapshot.id,
    path: toText(plan.path),
    destination: {
      kind: destination.kind,
      name: destination.name,
      isEmpty: destination.kind === 'new-volume' || destination.isEmpty,
      ...(destination.kind === 'new-volume' && {
        driver: destination.spec.driver,
        options: destination.spec.options,
      }),
    },
    replaces: plan.replaces,
    safetySnapshot: plan.safetySnapshot,
    stops: plan.stops,
    keepForMs: plan.keepForMs,
    space: plan.space ?? null,
    changes: changes === undefined ? null : changesAsJson(changes),
    refusal: plan.refusal === undefined ? null : { code: plan.refusal.code, message: plan.refusal.message },
    notes: plan.notes,
  };
}

function reportAsJson(report: RestoreReport, plan: RestorePlan): object {
  const { snapshot, safetySnapshot, ...rest } = report;
  return {
    ...rest,
    snapshotId: snapshot.id,
    safetySnapshotId: safetySnapshot?.id ?? null,
    plan: planAsJson(plan),
  };
}

function stackPlanAsJson({ point, plans, config, stops, refusal }: StackPlan): object {
  return {
    stack: point.stack,
    restorePoint: point.id ?? null,
    missing: point.missing,
    notes: point.notes,
    volumes: plans.map(planAsJson),
    files: config.plans.map(planAsJson),
    fileNotes: config.notes,
    stops,
    refusal: refusal === undefined ? null : { code: refusal.code, message: refusal.message },
  };
}

function stackReportAsJson(report: StackReport, { plans }: StackPlan): object {
  const { stack, restorePoint, stopped, stillMs, volumes, files } = report;
  return {
    stack,
    restorePoint: restorePoint ?? null,
    stopped,
    stillMs,
    files: files.map(({ name, safetySnapshot }) => ({ name, safetySnapshotId: safetySnapshot?.id ?? null })),
    volumes: volumes.flatMap((volume, index) => {
      const plan = plans[index];
      return plan === undefined ? [] : [reportAsJson(volume, plan)];
    }),
  };
}

function dumpPlanAsJson({
  snapshot,
  volume,
  preset,
  server,
  dumps,
  safetySnapshot,
}: DumpRestorePlan): object {
  return {
    snapshotId: snapshot.id,
    volume,
    preset: preset.name,
    container: server.container.name,
    dumps: dumps.map(({ path, size }) => ({ name: toPrintable(path), size })),
    safetySnapshot,
  };
}

function dumpReportAsJson({ snapshot, safetySnapshot, ...rest }: DumpRestoreReport): object {
  return { ...rest, snapshotId: snapshot.id, safetySnapshotId: safetySnapshot?.id ?? null };
}

function undoPlanAsJson({ places, refusal, ...plan }: UndoPlan): object {
  return {
    ...plan,
    places: places.map(({ record, changes }) => ({
      ...undoRecordAsJson(record),
      changes: changesAsJson(changes),
    })),
    refusal: refusal === undefined ? null : { code: refusal.code, message: refusal.message },
  };
}

function undoRecordAsJson({
  kind,
  name,
  keptAt,
  until,
  snapshotIds,
  isUndone,
  restoreId,
}: UndoRecord): object {
  return { kind, name, restoreId, restoredAt: keptAt, until, snapshotIds, isUndone };
}

function changesAsJson(changes: NonNullable<RestorePlan['changes']>): object {
  const examples = changes.examples.map((example) => ({ ...example, path: toText(example.path) }));
  return { ...changes, examples };
}
