import type { DrilledServer, DrillReport } from '../../../app.ts';
import { fromText, toPrintable } from '../../../model/byte-string.ts';
import { formatDuration, parseDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { formatSize } from '../../../model/size.ts';
import { splitWords } from '../../../model/split-words.ts';
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
  const report = await session.app.drill(
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
  if (report.outcome !== 'failed') return;
  throw new AppError('integrity', `${quoted(target)} cannot be recovered from this snapshot`, {
    detail: report.problems.map(printable).join('\n'),
    hint: 'Drill an older snapshot with --snapshot, and back up again while the data itself is whole.',
  });
}

function describe(report: DrillReport): string[] {
  const { outcome, volumes, servers, unasked, restoreMs, recoverMs } = report;
  return [
    ...volumes.map(
      ({ name, snapshotId, snapshotTime, files, bytes }) =>
        `${printable(name)}: ${snapshotId.slice(0, 8)} of ${localTime(snapshotTime)} restored (${files} files, ${formatSize(bytes)})`,
    ),
    ...servers.flatMap(describeServer),
    ...unasked.map(({ volume, reason }) => `${printable(volume)}: nobody was asked: ${printable(reason)}`),
    ...(recoverMs === undefined
      ? []
      : [
          `Time to recover: ${formatDuration(recoverMs)}, of which ${formatDuration(restoreMs)} to restore the data`,
        ]),
    {
      proven: 'Proven: the data was there when it was asked for.',
      restored: 'Restored whole; nothing was asked for the data.',
      failed: 'Failed.',
    }[outcome],
  ];
}

function describeServer(server: DrilledServer): string[] {
  const { name, image, asked, isHealthy, facts, problems, log } = server;
  const what = asked.length === 0 ? '' : `, asked: ${asked.map(printable).join(', ')}`;
  return [
    `${printable(name)} (${printable(image)})${what}: ${isHealthy ? 'good' : 'failed'}`,
    ...facts.map((fact) => `  ${printable(fact)}`),
    ...problems.map((problem) => `  ${printable(problem)}`),
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
  return `"${printable(text)}"`;
}

function printable(text: string): string {
  return toPrintable(fromText(text));
}
