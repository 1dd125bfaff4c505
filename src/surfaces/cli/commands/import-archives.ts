import path from 'node:path';
import type { ImportArchivesReport } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import { formatSize } from '../../../model/size.ts';
import { failAll } from '../fail-all.ts';
import { warnOfProblems } from '../finish-work.ts';
import { localTime } from '../../../model/local-time.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface ImportArchivesFlags {
  readonly volume?: string;
  readonly rename?: readonly string[];
  readonly namePattern?: string;
  readonly timeZone?: string;
  readonly tag?: readonly string[];
  readonly dryRun?: boolean;
}

export async function runImportArchives(
  session: Session,
  flags: ImportArchivesFlags,
  paths: readonly string[],
): Promise<void> {
  using progress = session.progress('Import');
  const report = await session.app.backup.importArchives(
    {
      paths,
      volume: flags.volume,
      renames: new Map(Object.entries(parsePairs(flags.rename, 'name'))),
      namePattern: flags.namePattern,
      timeZone: flags.timeZone,
      tags: flags.tag ?? [],
      dryRun: flags.dryRun ?? false,
    },
    { signal: session.signal, onProgress: progress.onProgress, onNote: session.note },
  );
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => session.app.backup.asJson.importReport(report),
    text: () => describe(report),
    quiet: () => report.outcomes.flatMap(({ snapshot }) => snapshot?.id ?? []),
  });
  for (const { problems } of report.outcomes) warnOfProblems(session, problems);
  conclude(session, report);
}

function conclude(session: Session, { outcomes }: ImportArchivesReport): void {
  const errors = outcomes.flatMap(({ error }) => error ?? []);
  const cancelled = errors.find(({ code }) => code === 'cancelled');
  if (cancelled !== undefined) {
    throw new AppError('cancelled', 'Cancelled', {
      hint: 'What was imported stays: the same command goes on from there.',
    });
  }
  failAll(session, errors, outcomes.length - errors.length);
  if (outcomes.some(({ outcome }) => outcome === 'partial'))
    throw new AppError('partial', 'Not everything in the archives could be imported', {
      hint: 'The snapshots hold the rest; the warnings above name what is missing.',
    });
}

function describe({ outcomes, dryRun }: ImportArchivesReport): string {
  const words = {
    imported: dryRun ? 'would be imported' : 'imported',
    partial: dryRun ? 'would be imported in part' : 'imported in part',
    present: 'imported before',
    refused: 'refused',
  };
  return formatTable(outcomes, [
    { title: 'ARCHIVE', value: ({ archive }) => printableField(path.basename(archive)) },
    { title: 'VOLUME', value: ({ volume }) => printableField(volume ?? '') },
    { title: 'TIME', value: ({ time }) => (time === undefined ? '' : localTime(time)) },
    { title: 'FILES', value: ({ summary }) => String(summary?.files ?? ''), align: 'right' },
    {
      title: 'SIZE',
      value: ({ summary }) => (summary === undefined ? '' : formatSize(summary.bytes)),
      align: 'right',
    },
    {
      title: 'STORED',
      value: ({ summary, outcome }) =>
        summary === undefined || outcome === 'present' ? '' : formatSize(summary.bytesStored),
      align: 'right',
    },
    { title: 'SNAPSHOT', value: ({ snapshot }) => snapshot?.id.slice(0, 8) ?? '' },
    { title: 'OUTCOME', value: ({ outcome }) => words[outcome] },
  ]);
}
