import type { BackupOutcome, BackupReport } from '../../../app/app.ts';
import { amount, formatSize, grouped } from '../../../model/size.ts';
import {
  gradeInWords,
  parseConsistency,
  parseMaxStill,
  parseStillTries,
} from '../../../model/consistency.ts';
import { formatDuration } from '../../../model/duration.ts';
import { parsePreset } from '../../../model/labels.ts';
import { AppError } from '../../../model/errors.ts';
import { printableField, quote } from '../../../model/quote.ts';
import type { ConfigRecord, GradeEvidence } from '../../../model/snapshot.ts';
import { failAll } from '../fail-all.ts';
import { warnOfProblems } from '../finish-work.ts';
import type { Session } from '../session.ts';

export interface BackupFlags {
  readonly all?: boolean;
  readonly stack?: readonly string[];
  readonly container?: readonly string[];
  readonly tag?: readonly string[];
  readonly exclude?: readonly string[];
  readonly consistency?: string;
  readonly maxStill?: string;
  readonly stillTries?: string;
  readonly dump?: boolean;
  readonly preset?: string;
  readonly takeOver?: boolean;
  readonly dryRun?: boolean;
}

export async function runBackup(
  session: Session,
  flags: BackupFlags,
  args: readonly string[],
): Promise<void> {
  using progress = session.progress('Backup');
  const report = await session.app.backup.run(
    {
      targets: args,
      all: flags.all ?? false,
      stacks: flags.stack ?? [],
      containers: flags.container ?? [],
      dryRun: flags.dryRun ?? false,
      takeOver: flags.takeOver ?? false,
      given: {
        tags: flags.tag,
        excludes: flags.exclude,
        consistency: flags.consistency === undefined ? undefined : parseConsistency(flags.consistency),
        maxStillMs: flags.maxStill === undefined ? undefined : parseMaxStill(flags.maxStill),
        stillTries: flags.stillTries === undefined ? undefined : parseStillTries(flags.stillTries),
        dump: flags.dump,
        preset: flags.preset === undefined ? undefined : parsePreset(flags.preset),
      },
      mustDump: flags.dump,
    },
    { signal: session.signal, onProgress: progress.onProgress, onNote: session.note },
  );
  progress[Symbol.dispose]();
  for (const { name, reason } of report.skipped)
    session.note(`Skipped "${printableField(name)}": ${reason}.`);
  session.printer.print({
    json: () => session.app.backup.asJson.report(report),
    text: () => report.outcomes.flatMap((outcome) => describe(outcome, report.dryRun)).join('\n'),
    quiet: () => report.outcomes.flatMap(({ snapshot }) => snapshot?.id ?? []),
  });
  for (const { problems } of report.outcomes) warnOfProblems(session, problems);
  for (const lacking of describeMissing(report)) session.note(lacking);
  conclude(session, report);
}

/** One line for each restore point that lacks some of its stack. */
function describeMissing({ outcomes }: BackupReport): string[] {
  const points = new Map(
    outcomes.flatMap(({ snapshot }) =>
      snapshot?.missing ? [[snapshot.restorePoint, snapshot.missing]] : [],
    ),
  );
  return [...points].map(([id, missing]) => {
    const names = missing.map((name) => quote(name)).join(', ');
    return `The restore point ${id ?? ''} is saved without ${names}.`;
  });
}

/** Throws the error of the exit number, failed or partly done; nothing when all was saved. */
function conclude(session: Session, { outcomes }: BackupReport): void {
  const errors = outcomes.flatMap(({ error }) => error ?? []);
  const cancelled = errors.find((error) => error.code === 'cancelled');
  const saved = outcomes.filter(({ error }) => error === undefined);
  if (cancelled !== undefined) {
    const names = saved.map(({ name }) => `"${name}"`).join(', ');
    throw new AppError('cancelled', 'Cancelled', {
      detail: saved.length === 0 ? undefined : `Saved before: ${names}.`,
      hint: 'What was stored of the unfinished one is kept: the next backup goes on from there.',
    });
  }
  failAll(session, errors, saved.length);
  const partial = saved.filter(({ outcome }) => outcome === 'partial');
  if (partial.length === 0) return;
  throw new AppError(
    'partial',
    `Not everything of ${partial.map(({ name }) => `"${name}"`).join(', ')} could be saved`,
    {
      hint: 'The snapshot holds the rest; the warnings above name what is missing or changed while it was read.',
    },
  );
}

function describe(outcome: BackupOutcome, dryRun: boolean): string[] {
  const { name, snapshot, summary, grade, gradeReason, evidence, limits, settings = [] } = outcome;
  if (summary === undefined) return [];
  const said = dryRun ? settings.map(describeSetting) : [];
  const files = `${amount(summary.files, 'file')}, ${formatSize(summary.bytes)}`;
  const changes = `${grouped(summary.filesNew)} new, ${grouped(summary.filesChanged)} changed, ${grouped(summary.filesUnmodified)} unchanged`;
  const head = dryRun
    ? `${printableField(name)}: would save ${files}`
    : `${printableField(name)}: saved as ${snapshot?.id.slice(0, 8) ?? '?'}`;
  const lines = dryRun
    ? [
        `${head} (${changes})`,
        // Data that is streamed through the engine was read, so the size that it adds is known.
        limits.length === 0
          ? `  at most ${formatSize(summary.bytesAdded)} to store, by sizes and times: no file was read`
          : `  ${formatSize(summary.bytesStored)} to store`,
        ...said,
      ]
    : [
        `${head}`,
        `  ${files} (${changes})`,
        `  ${formatSize(summary.bytesStored)} stored, in ${formatDuration(summary.durationMs)}`,
      ];
  lines.push(
    `  grade: ${grade === undefined ? 'unknown' : gradeInWords(grade)}, ${printableField(gradeReason ?? '')}`,
  );
  if (evidence !== undefined) lines.push(...describeEvidence(evidence));
  if (snapshot?.config !== undefined) lines.push(...describeConfig(snapshot.config));
  if (limits.length > 0) lines.push(`  read through the engine: ${limits.join('; ')}`);
  return lines;
}

function describeConfig({ saved, leftOut }: ConfigRecord): string[] {
  return [
    ...(saved.length === 0
      ? []
      : [`  with what its containers need: ${saved.toSorted().map(printableField).join(', ')}`]),
    ...leftOut.map(({ path, reason }) => `  without "${printableField(path)}": ${printableField(reason)}`),
  ];
}

/** What was observed and done while it was saved; empty when the data was perfectly still. */
function describeEvidence({ consistency, inFlight, ran = [] }: GradeEvidence): string[] {
  const lines: string[] = [];
  if (inFlight !== undefined) {
    const files = amount(inFlight.files, 'file');
    lines.push(
      `  ${consistency}: ${files} (${formatSize(inFlight.bytes)}) had changed since the pass before`,
    );
    const { tries = 1, late } = inFlight;
    if (tries > 1) lines.push(`  made still ${tries} times`);
    if (late !== undefined)
      lines.push(`  ${amount(late, 'file')} read when the containers ran again; --max-still gives more time`);
  }
  if (ran.length > 0) lines.push(`  ran: ${ran.map(printableField).join('; ')}`);
  return lines;
}

function describeSetting({ name, value, from }: NonNullable<BackupOutcome['settings']>[number]): string {
  const shown = typeof value === 'object' ? value.join(', ') : String(value);
  return `  ${name}: ${printableField(shown)}, by ${printableField(from)}`;
}
