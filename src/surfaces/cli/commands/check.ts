import type { CheckReport } from '../../../app/app.ts';
import { amount, formatSize } from '../../../model/size.ts';
import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import { parsePercent } from '../parse-percent.ts';
import type { Session } from '../session.ts';

export interface CheckFlags {
  readonly readData?: string;
}

export async function runCheck(session: Session, flags: CheckFlags): Promise<void> {
  const readDataPercent = parsePercent(flags.readData);
  using progress = session.progress('Check');
  const report = await session.app.proof.check(
    { readDataPercent },
    { signal: session.signal, onProgress: progress.onProgress, onNote: session.warn },
  );
  progress[Symbol.dispose]();
  for (const note of report.notes) session.note(printableField(note));
  session.printer.print({
    json: () => report,
    text: () => describe(report, readDataPercent),
    colours: { 'Whole:': 'green', 'Damaged:': 'red' },
  });
  if (report.errors.length === 0) return;
  for (const error of report.errors.slice(0, 50)) session.warn(`Damaged: ${printableField(error)}`);
  throw new AppError('integrity', `The repository is damaged: ${amount(report.errors.length, 'fault')}`, {
    detail:
      report.damagedSnapshots.length === 0
        ? undefined
        : `Not whole: ${report.damagedSnapshots.map((id) => id.slice(0, 8)).join(', ')}`,
    hint: 'Copy the repository before anything else, and look for faults of its disk. Then repair it: docs/guides/worst-day.md says how.',
  });
}

function describe(report: CheckReport, percent: number): string {
  const { snapshots, packs, blobs, bytesRead, errors } = report;
  const read =
    percent === 0
      ? 'structure only; --read-data verifies the data too'
      : `${formatSize(bytesRead)} of data verified`;
  return `${errors.length === 0 ? 'Whole' : 'Damaged'}: ${amount(snapshots, 'snapshot')}, ${amount(packs, 'pack')}, ${amount(blobs, 'blob')}; ${read}.`;
}
