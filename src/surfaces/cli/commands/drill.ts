import type { DrilledServer, DrillReport } from '../../../app/app.ts';
import { formatDuration, parseDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { amount, formatSize } from '../../../model/size.ts';
import { printableField, splitWords } from '../../../model/quote.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';

export interface DrillFlags {
  readonly snapshot?: string;
  readonly command?: string;
  readonly keep?: boolean;
  readonly timeout?: string;
}

export async function runDrill(
  session: Session,
  { snapshot, command, keep = false, timeout = '2m' }: DrillFlags,
  [target = '']: readonly string[],
): Promise<void> {
  const words = command === undefined ? undefined : splitWords(command);
  if (words?.length === 0) throw new AppError('usage', 'The command is empty');
  using progress = session.progress('Drill');
  const report = await session.app.proof.drill(
    { target, snapshot, command: words, keep, readyWithinMs: parseDuration(timeout) },
    { signal: session.signal, onProgress: progress.onProgress, onNote: session.note },
  );
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => report,
    text: () => describe(report).join('\n'),
    quiet: () => [report.outcome],
  });
  if (report.kept !== undefined) session.note(howToRemove(report.kept));
  if (report.outcome === 'unproven') throw unproven(target, report);
  if (report.outcome !== 'failed') return;
  throw new AppError('integrity', `${quoted(target)} cannot be recovered from this snapshot`, {
    detail: report.problems.map(printableField).join('\n'),
    hint: 'Drill an older snapshot with --snapshot, and back up again while the data itself is whole.',
  });
}

function unproven(target: string, { unprovenBecause, problems }: DrillReport): AppError {
  return new AppError(
    'partial',
    `${quoted(target)} is not proven: ${unprovenBecause.map(printableField).join('; ')}`,
    {
      detail: problems.map(printableField).join('\n'),
      hint: 'Nothing says that data is lost. Back up the files that are missing, or drill with --command what can be asked without them.',
    },
  );
}

function describe(report: DrillReport): string[] {
  const { volumes, servers, unasked, restoreMs, recoverMs } = report;
  return [
    ...volumes.map(
      ({ name, snapshotId, snapshotTime, files, bytes }) =>
        `${printableField(name)}: ${snapshotId.slice(0, 8)} of ${localTime(snapshotTime)} restored (${amount(files, 'file')}, ${formatSize(bytes)})`,
    ),
    ...servers.flatMap(describeServer),
    ...unasked.map(
      ({ volume, reason }) => `${printableField(volume)}: no server was asked: ${printableField(reason)}`,
    ),
    ...(recoverMs === undefined
      ? []
      : [
          `Time to recover: ${formatDuration(recoverMs)}, of which ${formatDuration(restoreMs)} to restore the data`,
        ]),
    lastLine(report),
  ];
}

/** How much is proven: servers that were only seen to run prove nothing about their data. */
function lastLine({ outcome, servers, unprovenBecause }: DrillReport): string {
  const namesOf = (proof: DrilledServer['proof']): string =>
    servers.flatMap((server) => (server.proof === proof ? printableField(server.name) : [])).join(', ');
  const seen = namesOf('seen');
  const onlySeen = seen === '' ? '' : ` Only seen to run, not asked for data: ${seen}.`;
  if (outcome === 'proven') return `Proven: ${namesOf('asked')} had the data when asked for it.${onlySeen}`;
  if (outcome === 'started') return `Restored whole, and started; nothing was asked for the data.${onlySeen}`;
  if (outcome === 'restored') return 'Restored whole; nothing was asked for the data.';
  return outcome === 'failed'
    ? 'Failed.'
    : `Not proven: ${unprovenBecause.map(printableField).join('; ')}.${onlySeen}`;
}

function describeServer(server: DrilledServer): string[] {
  const { name, image, asked, isHealthy, facts, problems, log } = server;
  const what = asked.length === 0 ? '' : `, asked: ${asked.map(printableField).join(', ')}`;
  return [
    `${printableField(name)} (${printableField(image)})${what}: ${isHealthy ? 'good' : 'failed'}`,
    ...facts.map((fact) => `  ${printableField(fact)}`),
    ...problems.map((problem) => `  ${printableField(problem)}`),
    ...(log === undefined
      ? []
      : log
          .trimEnd()
          .split('\n')
          .map((line) => `  | ${line}`)),
  ];
}

function howToRemove({ volumes, containers }: NonNullable<DrillReport['kept']>): string {
  const remove = containers.length === 0 ? '' : `docker rm -f ${containers.join(' ')}; `;
  return `It is kept. To remove it: ${remove}docker volume rm ${volumes.join(' ')}`;
}

function quoted(text: string): string {
  return `"${printableField(text)}"`;
}
