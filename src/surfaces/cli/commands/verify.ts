import type { VerifyReport } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import { formatSize } from '../../../model/size.ts';
import { localTime } from '../../../model/local-time.ts';
import { parsePercent } from '../parse-percent.ts';
import { parseCount } from '../retention-flags.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface VerifyFlags {
  readonly all?: boolean;
  readonly last?: string;
  readonly readData?: string;
}

export async function runVerify(
  session: Session,
  flags: VerifyFlags,
  targets: readonly string[],
): Promise<void> {
  const last = flags.last === undefined ? 1 : parseCount(flags.last);
  if (last === 0) throw new AppError('usage', 'Cannot verify the newest 0 snapshots');
  using progress = session.progress('Verify');
  const report = await session.app.proof.verify(
    { targets, all: flags.all ?? false, last, readDataPercent: parsePercent(flags.readData) },
    { signal: session.signal, onProgress: progress.onProgress, onNote: session.warn },
  );
  progress[Symbol.dispose]();
  session.printer.print({ json: () => report, text: () => describe(report) });
  conclude(session, report);
}

function conclude(session: Session, { volumes, unreadable }: VerifyReport): void {
  const errors = volumes.flatMap((volume) => volume.errors);
  for (const error of errors.slice(0, 50)) session.warn(`Damaged: ${printableField(error)}`);
  const damaged = [
    ...volumes.flatMap(({ snapshots }) => snapshots.filter(({ isWhole }) => !isWhole).map(({ id }) => id)),
    ...unreadable,
  ];
  if (damaged.length === 0) return;
  throw new AppError(
    'integrity',
    damaged.length === 1 ? 'A snapshot is damaged' : `${damaged.length} snapshots are damaged`,
    {
      detail: `Not whole: ${damaged.map((id) => id.slice(0, 8)).join(', ')}`,
      hint: 'Back up these volumes again, as long as they are whole themselves. Then see what else is damaged with "holdfast check --read-data"; docs/guides/worst-day.md says how to go on.',
    },
  );
}

function describe(report: VerifyReport): string {
  const rows = report.volumes.flatMap(({ name, snapshots }) =>
    snapshots.map((snapshot) => ({ name, ...snapshot })),
  );
  if (rows.length === 0) return 'There are no snapshots.';
  const bytes = report.volumes.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  const read =
    report.readDataPercent === 0
      ? 'Structure only; --read-data verifies the data too.'
      : `${formatSize(bytes)} of data verified.`;
  const table = formatTable(rows, [
    { title: 'VOLUME', value: ({ name }) => printableField(name) },
    { title: 'SNAPSHOT', value: ({ id }) => id.slice(0, 8) },
    { title: 'TIME', value: ({ time }) => localTime(time) },
    { title: 'STATE', value: ({ isWhole }) => (isWhole ? 'whole' : 'damaged') },
  ]);
  return `${table}\n${read}`;
}
