import type { StackPlan, StackReport } from '../../../app/app.ts';
import { amount } from '../../../model/size.ts';
import { printableField } from '../../../model/quote.ts';
import { formatDuration } from '../../../model/duration.ts';
import { describePlan, describeStops } from '../describe-plan.ts';
import { reportProblems } from '../finish-work.ts';
import { localTime } from '../../../model/local-time.ts';
import { describeReport, type RestoreFlags, settingsOf } from '../restore-words.ts';
import type { Session } from '../session.ts';

/** Restores all volumes of a stack together. */
export async function runStackRestore(
  session: Session,
  flags: RestoreFlags & { readonly stack: string },
): Promise<void> {
  const { signal } = session;
  const request = { what: flags.stack, withFiles: flags.noFiles !== true, ...settingsOf(flags) };
  const plan = await session.app.restore.planStack(request, { signal, onNote: session.note });
  if (flags.dryRun === true)
    return session.printer.print({
      json: () => session.app.restore.asJson.stackPlan(plan),
      text: () => describeStack(plan),
    });
  if (plan.refusal !== undefined) throw plan.refusal;
  session.note(describeStack(plan));
  if ([...plan.plans, ...plan.config.plans].some(({ replaces }) => replaces)) {
    if (!(await session.confirm(questionOf(plan)))) return session.note('Nothing was changed.');
  }
  using progress = session.progress('Restore');
  const { onProgress } = progress;
  const report = await session.app.restore.applyStack(plan, { signal, onProgress, onNote: session.note });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => session.app.restore.asJson.stackReport(report, plan),
    text: () => describeDone(report),
    quiet: () => report.volumes.map(({ name }) => name),
  });
  reportProblems(
    session,
    [...report.volumes, ...report.files].flatMap(({ problems }) => problems),
  );
}

function questionOf({ point, config: { plans } }: StackPlan): string {
  const volumes = `what is in the volumes of "${printableField(point.stack)}"`;
  if (plans.length === 0) return `Replace ${volumes} now?`;
  return `Replace ${volumes} and write ${amount(plans.length, 'file')} of this machine now?`;
}

function describeStack({ point, plans, config, stops, refusal }: StackPlan): string {
  const { stack, id, snapshots, notes } = point;
  const newest =
    snapshots
      .map(({ time }) => time)
      .sort()
      .at(-1) ?? '';
  const from = id === undefined ? 'the snapshots until' : `the restore point ${id} of`;
  const lines = [`The stack "${printableField(stack)}" becomes what ${from} ${localTime(newest)} has.`];
  lines.push(...notes.map(printableField), ...plans.map((plan) => describePlan({ ...plan, stops: [] })));
  lines.push(...describeConfig(config), ...describeStops(stops));
  if (refusal !== undefined)
    lines.push(`As things are now, it is refused: ${printableField(refusal.message)}.`);
  return lines.join('\n');
}

/** The other files of its containers, a line each. */
function describeConfig({ plans, notes }: StackPlan['config']): string[] {
  const isSaved = plans.some(({ safetySnapshot }) => safetySnapshot);
  return [
    ...plans.map(({ destination: { name }, replaces, changes }) => {
      const newer = (changes?.newer ?? 0) > 0 ? ' (written after the snapshot)' : '';
      return `The file "${printableField(name)}" ${replaces ? `becomes what it was${newer}` : 'comes back'}.`;
    }),
    ...(isSaved ? ['Files that are there now are saved as snapshots first.'] : []),
    ...notes.map(printableField),
  ];
}

function describeDone({ volumes, files, stopped, stillMs }: StackReport): string {
  const lines = volumes.map((report) => describeReport({ ...report, stopped: [] }));
  lines.push(
    ...files.map(({ name, safetySnapshot }) => {
      const before =
        safetySnapshot === undefined ? '' : `; what was there is ${safetySnapshot.id.slice(0, 8)}`;
      return `${printableField(name)}: restored${before}`;
    }),
  );
  if (stopped.length > 0)
    lines.push(`Stopped for ${formatDuration(stillMs)}: ${stopped.map(printableField).join(', ')}.`);
  return lines.join('\n');
}
