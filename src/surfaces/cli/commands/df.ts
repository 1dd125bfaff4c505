import { AppError } from '../../../model/errors.ts';
import { amount } from '../../../model/size.ts';
import { dfView, orderOf } from '../describe-df.ts';
import { noteNoEngine } from '../note-no-engine.ts';
import type { Session } from '../session.ts';

export interface DfFlags {
  readonly refresh?: boolean;
  readonly sort?: string;
}

export async function runDf(session: Session, flags: DfFlags, names: readonly string[]): Promise<void> {
  const order = orderOf(flags.sort);
  const { refresh = false } = flags;
  const { signal, note } = session;
  using progress = session.progress('Measuring');
  const report = await session.app.usage.df(
    { names, refresh },
    { signal, onNote: note, onProgress: progress.onProgress },
  );
  progress[Symbol.dispose]();
  const volumes = report.volumes.toSorted(order);
  session.printer.print(dfView({ ...report, volumes }));
  if (volumes.length === 0) await noteNoEngine(session);
  else if (!report.isCurrent && !refresh)
    note('No daemon keeps these sizes: start "holdfast daemon", or measure now with --refresh.');
  for (const { error } of report.failures) session.showError(error);
  if (report.failures.length > 0)
    throw new AppError(
      'partial',
      `Of ${amount(volumes.length, 'volume')}, ${report.failures.length} could not be measured whole`,
    );
}
