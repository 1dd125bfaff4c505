import type { WorkReport } from '../../app/app.ts';
import { AppError } from '../../model/errors.ts';
import { printableField, quote } from '../../model/quote.ts';
import type { Session } from './session.ts';
import type { View } from './printer.ts';

/** Prints the report of work on data, and ends with "partly done" when not everything was carried over. */
export function finishWork(session: Session, report: WorkReport, shown: Pick<View, 'text' | 'quiet'>): void {
  noteWork(session, report);
  session.printer.print({ json: () => report, ...shown });
  reportProblems(session, report.problems);
}

/** The same when standard output carries the data itself. */
export function finishStream(session: Session, report: WorkReport): void {
  noteWork(session, report);
  reportProblems(session, report.problems);
}

function noteWork(session: Session, report: WorkReport): void {
  for (const note of report.notes) session.note(printableField(note));
  if (report.way === 'stream' && report.limits.length > 0)
    session.note(`Through the engine, ${report.limits.join('; ')}.`);
}

const shownAtMost = 20;

interface ShownProblem {
  readonly path: string;
  readonly message: string;
}

/** Names each thing and its problem; after the first few, how many more there are. */
export function warnOfProblems(session: Session, problems: readonly ShownProblem[]): void {
  for (const { path, message } of problems.slice(0, shownAtMost)) {
    const subject = path === '…' || isNamedIn(message, path) ? '' : `${quote(path)} `;
    session.warn(`Warning: ${subject}${printableField(message)}`);
  }
  if (problems.length > shownAtMost) session.warn(`Warning: and ${problems.length - shownAtMost} more`);
}

/**
 * In quotes, alone or at the end of a longer path: short names such as "a" and "read" occur in unrelated
 * messages.
 */
function isNamedIn(message: string, path: string): boolean {
  return [quote(path), `/${quote(path).slice(1)}`, `'${path}'`, `/${path}'`].some((name) =>
    message.includes(name),
  );
}

/** Lists the problems and throws `partial`; does nothing when there are none. */
export function reportProblems(session: Session, problems: readonly ShownProblem[]): void {
  warnOfProblems(session, problems);
  failOfProblems(problems);
}

/** The same when they are listed already. */
export function failOfProblems(problems: readonly ShownProblem[]): void {
  if (problems.length === 0) return;
  const count = problems.length === 1 ? 'One thing is' : `${problems.length} things are`;
  throw new AppError('partial', `${count} not as it was`, {
    hint: 'Everything else was done. The warnings above say what is missing or differs.',
  });
}
