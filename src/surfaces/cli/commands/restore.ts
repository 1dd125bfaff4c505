import type { RestorePlan, RestoreReport } from '../../../app.ts';
import { fromText, toPrintable } from '../../../model/byte-string.ts';
import { formatDuration, parseDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { parseOwnerMap } from '../../../model/owner-map.ts';
import { formatSize } from '../../../model/size.ts';
import { describePlan, planAsJson } from '../describe-plan.ts';
import { reportProblems } from '../finish-work.ts';
import type { Session } from '../session.ts';

export interface RestoreFlags {
  readonly stack?: string;
  readonly to?: string;
  readonly path?: string;
  readonly fromDump?: boolean;
  readonly dump?: readonly string[];
  readonly dryRun?: boolean;
  readonly noSafetySnapshot?: boolean;
  readonly keepFor?: string;
  readonly noKeep?: boolean;
  readonly healthTimeout?: string;
  readonly mapOwner?: readonly string[];
}

export async function runRestore(
  session: Session,
  flags: RestoreFlags,
  args: readonly string[],
): Promise<void> {
  const [what] = args;
  if (flags.stack !== undefined) {
    if (what !== undefined || flags.to !== undefined || flags.path !== undefined)
      throw new AppError('usage', '"--stack" restores all volumes of a stack to where they were', {
        hint: 'Leave out the volume, "--to" and "--path", or restore one volume without "--stack".',
      });
    const { runStackRestore } = await import('./restore-stack.ts');
    return await runStackRestore(session, { ...flags, stack: flags.stack });
  }
  if (what === undefined)
    throw new AppError('usage', 'What to restore is missing', {
      hint: 'Name a volume, or a stack with --stack.',
    });
  if (flags.fromDump === true || (flags.dump ?? []).length > 0) {
    const { runDumpRestore } = await import('./restore-dump.ts');
    return await runDumpRestore(session, flags, what);
  }
  const { signal } = session;
  const request = { what, to: flags.to, path: flags.path, ...wishesOf(flags) };
  const plan = await session.app.planRestore(request, { signal, onNote: session.note });
  if (flags.dryRun) {
    return session.printer.print({ json: () => planAsJson(plan), text: () => describePlan(plan) });
  }
  if (plan.refusal !== undefined) throw plan.refusal;
  if (plan.replaces) {
    session.note(describePlan(plan));
    if (!(await session.confirm(`Replace what is in "${printable(plan.destination.name)}" now?`)))
      return session.note('Nothing was changed.');
  }
  using progress = session.progress('Restore');
  const report = await session.app.applyRestore(plan, {
    signal,
    onProgress: progress.onProgress,
    onNote: session.note,
  });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => reportAsJson(report, plan),
    text: () => describeReport(report),
    quiet: () => [report.name],
  });
  reportProblems(session, report.problems);
}

/** How it is to be done, whatever is restored. */
export function wishesOf(flags: RestoreFlags) {
  if (flags.noKeep === true && flags.keepFor !== undefined)
    throw new AppError('usage', '"--no-keep" and "--keep-for" exclude each other');
  return {
    safetySnapshot: flags.noSafetySnapshot !== true,
    keepForMs: flags.noKeep === true ? 0 : durationOf(flags.keepFor),
    healthyWithinMs: durationOf(flags.healthTimeout),
    mapOwner: flags.mapOwner === undefined ? undefined : parseOwnerMap(flags.mapOwner),
  };
}

function durationOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

/** What was done, for people. */
export function describeReport(report: RestoreReport): string {
  const { name, snapshot, files, bytes, created, safetySnapshot, stopped, stillMs, keptForMs } = report;
  const lines = [
    `${printable(name)}: restored from ${snapshot.id.slice(0, 8)} (${snapshot.time.slice(0, 19)}): ${files.toLocaleString('en')} ${files === 1 ? 'file' : 'files'}, ${formatSize(bytes)}`,
  ];
  if (created) lines.push('  The volume was made.');
  if (stopped.length > 0)
    lines.push(`  Stopped for ${formatDuration(stillMs)}: ${stopped.map(printable).join(', ')}.`);
  if (keptForMs > 0)
    lines.push(
      `  What was there before is kept for ${formatDuration(keptForMs)}: holdfast undo ${printable(name)}`,
    );
  if (safetySnapshot !== undefined) {
    lines.push(
      `  What was there before is saved as ${safetySnapshot.id.slice(0, 8)}: holdfast restore ${printable(name)}@${safetySnapshot.id.slice(0, 8)} brings it back.`,
    );
  }
  return lines.join('\n');
}

export function reportAsJson(report: RestoreReport, plan: RestorePlan): object {
  const { snapshot, safetySnapshot, ...rest } = report;
  return {
    ...rest,
    snapshotId: snapshot.id,
    safetySnapshotId: safetySnapshot?.id ?? null,
    plan: planAsJson(plan),
  };
}

function printable(text: string): string {
  return toPrintable(fromText(text));
}
