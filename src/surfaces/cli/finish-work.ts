import type { WorkReport } from '../../app.ts';
import { AppError } from '../../model/errors.ts';
import { fromText, toPrintable } from '../../model/byte-string.ts';
import type { Session } from './session.ts';
import type { View } from './printer.ts';

/** Prints what a piece of work on data has to say, and ends with "partly done" where not everything was carried. */
export function finishWork(session: Session, report: WorkReport, shown: Pick<View, 'text' | 'quiet'>): void {
  noteWork(session, report);
  session.printer.print({ json: () => report, ...shown });
  reportProblems(session, report.problems);
}

/** The same where standard output is taken by the data itself. */
export function finishStream(session: Session, report: WorkReport): void {
  noteWork(session, report);
  reportProblems(session, report.problems);
}

function noteWork(session: Session, report: WorkReport): void {
  for (const note of report.notes) session.note(toPrintable(fromText(note)));
  if (report.way === 'stream' && report.limits.length > 0)
    session.note(`Through the engine, ${report.limits.join('; ')}.`);
}

const shownAtMost = 20;

/** Names what went wrong and throws `partial`; nothing when nothing did. */
export function reportProblems(session: Session, problems: readonly { readonly message: string }[]): void {
  if (problems.length === 0) return;
  for (const { message } of problems.slice(0, shownAtMost))
    session.warn(`Warning: ${toPrintable(fromText(message))}`);
  if (problems.length > shownAtMost) session.warn(`Warning: and ${problems.length - shownAtMost} more`);
  const count = problems.length === 1 ? 'One thing is' : `${problems.length} things are`;
  throw new AppError('partial', `${count} not as it was`, {
    hint: 'Everything else was done. The warnings above say what is missing or differs.',
  });
}
