import type { UndoPlan, UndoRecord, UndoReport } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { formatDuration, parseDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { describeChanges, describeStops } from '../describe-plan.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface UndoFlags {
  readonly list?: boolean;
  readonly drop?: boolean;
  readonly dryRun?: boolean;
  readonly healthTimeout?: string;
}

export async function runUndo(session: Session, flags: UndoFlags, args: readonly string[]): Promise<void> {
  if (flags.list === true && flags.drop === true)
    throw new AppError('usage', '"--list" and "--drop" exclude each other');
  if (flags.list === true) return await listKept(session);
  const [what] = args;
  if (flags.drop === true) return await dropKept(session, what);
  const healthyWithinMs = flags.healthTimeout === undefined ? undefined : parseDuration(flags.healthTimeout);
  const { signal } = session;
  const plan = await session.app.restore.planUndo(
    { what, healthyWithinMs },
    { signal, onNote: session.note },
  );
  if (flags.dryRun === true)
    return session.printer.print({
      json: () => session.app.restore.asJson.undoPlan(plan),
      text: () => describePlan(plan),
    });
  if (plan.refusal !== undefined) throw plan.refusal;
  session.note(describePlan(plan));
  if (!(await session.confirm('Do this now?'))) return session.note('Nothing was changed.');
  using progress = session.progress('Undo');
  const { onProgress } = progress;
  const report = await session.app.restore.applyUndo(plan, { signal, onProgress, onNote: session.note });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => ({ ...report, plan: session.app.restore.asJson.undoPlan(plan) }),
    text: () => describe(report, plan),
    quiet: () => report.names,
  });
}

async function listKept(session: Session): Promise<void> {
  const records = await session.app.restore.listUndo();
  session.printer.print({
    json: () => records.map((record) => session.app.restore.asJson.undoRecord(record)),
    text: () => (records.length === 0 ? 'Nothing is kept for an undo.' : table(records)),
    quiet: () => records.map(({ name }) => name),
  });
}

async function dropKept(session: Session, what: string | undefined): Promise<void> {
  const meant = what === undefined ? 'the last restore' : `the restore of "${printableField(what)}"`;
  if (!(await session.confirm(`Delete what is kept of ${meant}? It cannot be undone then.`)))
    return session.note('Nothing was changed.');
  const records = await session.app.restore.dropUndo({ what }, { signal: session.signal });
  session.printer.print({
    json: () => records.map((record) => session.app.restore.asJson.undoRecord(record)),
    text: () => `Deleted what was kept of ${namesOf(records)}.`,
    quiet: () => records.map(({ name }) => name),
  });
}

function table(records: readonly UndoRecord[]): string {
  return formatTable(records, [
    { title: 'NAME', value: ({ name }) => printableField(name) },
    { title: 'RESTORED', value: ({ keptAt }) => localTime(keptAt) },
    { title: 'KEPT UNTIL', value: ({ until }) => localTime(until) },
    {
      title: 'BRINGS BACK',
      value: ({ isUndone }) => (isUndone ? 'the restored data' : 'the data before the restore'),
    },
  ]);
}

function describePlan(plan: UndoPlan): string {
  const names = namesOf(plan.places.map(({ record }) => record));
  const what = plan.isUndone ? 'The undone restore' : 'What was there before the restore';
  const lines = [`${what} of ${names} (${localTime(plan.restoredAt)}) comes back.`];
  for (const { record, changes } of plan.places) {
    if (plan.places.length > 1) lines.push(`${printableField(record.name)}:`);
    lines.push(...describeChanges(changes, { since: plan.isUndone ? 'the undo' : 'the restore' }));
  }
  lines.push('What is there now is kept in turn.', ...describeStops(plan.stops));
  if (plan.refusal !== undefined)
    lines.push(`As things are now, it is refused: ${printableField(plan.refusal.message)}.`);
  return lines.join('\n');
}

function describe({ names, stopped, stillMs, until }: UndoReport, plan: UndoPlan): string {
  const shown = names.map((name) => `"${printableField(name)}"`).join(', ');
  const lines = [`${shown}: ${plan.isUndone ? 'restored again' : 'as before the restore'}.`];
  if (stopped.length > 0)
    lines.push(`  Stopped for ${formatDuration(stillMs)}: ${stopped.map(printableField).join(', ')}.`);
  lines.push(`  "holdfast undo" turns it round again, until ${localTime(until)}.`);
  return lines.join('\n');
}

function namesOf(records: readonly UndoRecord[]): string {
  return records.map(({ name }) => `"${printableField(name)}"`).join(', ');
}
