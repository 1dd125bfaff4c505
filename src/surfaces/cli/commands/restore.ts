import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import { describePlan } from '../describe-plan.ts';
import { reportProblems } from '../finish-work.ts';
import { describeReport, type RestoreFlags, settingsOf } from '../restore-words.ts';
import type { Session } from '../session.ts';
import { runStackRestore } from './restore-stack.ts';
import { runDumpRestore } from './restore-dump.ts';

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
    return await runStackRestore(session, { ...flags, stack: flags.stack });
  }
  if (flags.noFiles === true) throw new AppError('usage', '"--no-files" is for a restore with "--stack"');
  if (what === undefined)
    throw new AppError('usage', 'What to restore is missing', {
      hint: 'Name a volume, or a stack with --stack.',
    });
  if (flags.fromDump === true || (flags.dump ?? []).length > 0) {
    return await runDumpRestore(session, flags, what);
  }
  const { signal } = session;
  const request = { what, to: flags.to, path: flags.path, ...settingsOf(flags) };
  const plan = await session.app.restore.plan(request, { signal, onNote: session.note });
  if (flags.dryRun) {
    return session.printer.print({
      json: () => session.app.restore.asJson.plan(plan),
      text: () => describePlan(plan),
    });
  }
  if (plan.refusal !== undefined) throw plan.refusal;
  // Without a named directory the snapshot says which: its writer may have chosen any.
  const isChosenBySnapshot =
    ['directory', 'entry'].includes(plan.destination.kind) && flags.to === undefined && !/^[./]/.test(what);
  if (plan.replaces || isChosenBySnapshot) {
    session.note(describePlan(plan));
    const name = `"${printableField(plan.destination.name)}"`;
    const question = plan.replaces ? `Replace what is in ${name} now?` : `Restore into ${name} now?`;
    if (!(await session.confirm(question))) return session.note('Nothing was changed.');
  } else for (const note of plan.notes) session.note(printableField(note));
  using progress = session.progress('Restore');
  const report = await session.app.restore.apply(plan, {
    signal,
    onProgress: progress.onProgress,
    onNote: session.note,
  });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => session.app.restore.asJson.report(report, plan),
    text: () => describeReport(report),
    quiet: () => [report.name],
  });
  reportProblems(session, report.problems);
}
