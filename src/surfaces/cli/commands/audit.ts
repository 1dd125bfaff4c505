import type { AuditReport, AuditRequest, DataMove } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { severities, type Severity } from '../../../model/finding.ts';
import { printableJson, quote } from '../../../model/quote.ts';
import { amount } from '../../../model/size.ts';
import { describeFindings } from '../describe-findings.ts';
import { withSameFlags } from '../same-flags.ts';
import type { Session } from '../session.ts';

export interface AuditFlags {
  readonly all?: boolean;
  readonly allRules?: boolean;
  readonly failOn?: string;
  readonly ignore?: readonly string[];
  readonly baseline?: string;
  readonly updateBaseline?: boolean;
  readonly fix?: boolean;
}

export async function runAudit(
  session: Session,
  flags: AuditFlags,
  [target]: readonly string[],
): Promise<void> {
  const { app, signal, printer } = session;
  if (flags.all === true && target !== undefined)
    throw new AppError('usage', `Name ${quote(target)} or --all, not both`);
  if (flags.updateBaseline === true && flags.baseline === undefined)
    throw new AppError('usage', '--update-baseline needs --baseline FILE');
  const failing = parseFailOn(flags.failOn);
  const directory = process.cwd();
  const request = {
    target: flags.all === true ? undefined : (target ?? '.'),
    directory,
    allRules: flags.allRules,
    suppressionFiles: flags.ignore,
    baseline: flags.baseline,
    updatesBaseline: flags.updateBaseline,
    signal,
  };
  if (flags.fix === true) await mend(session, request);
  const report = withSameFlags(await app.audit.run(request), session.sameFlags);
  for (const note of [...report.refused, ...report.notes]) session.warn(`Warning: ${note}`);
  printer.print({
    json: () => app.audit.asJson.run(report),
    forms: { sarif: () => printableJson(JSON.stringify(app.audit.asSarif(report, directory), undefined, 2)) },
    text: () => describeReport(report),
    colours: { Good: 'green' },
    quiet: () => report.findings.map(({ id, subject: { name } }) => `${id} ${name}`),
  });
  const bad = report.findings.filter(({ severity }) => failing.includes(severity));
  if (bad.length > 0)
    throw new AppError(
      'failed',
      `${bad.length} of ${amount(report.findings.length, 'finding')} at or above ${quote(flags.failOn ?? 'loss')}`,
      {
        hint: 'Write "# holdfast ignore=ID REASON" beside a line that is as it should be; see docs/guides/audit.md.',
      },
    );
  if (report.refused.length > 0)
    throw new AppError('partial', 'Not all could be audited: Compose refuses a part of it', {
      hint: '"holdfast compose check" says what is wrong with the file.',
    });
}

/** Shows what can be mended, asks, and mends it. */
async function mend(
  { app, warn, note, confirm, progress, signal }: Session,
  request: AuditRequest,
): Promise<void> {
  const { moves, byHand } = await app.audit.planFix(request);
  for (const { subject, why } of byHand) warn(`Warning: ${quote(subject)} is to be mended by hand: ${why}`);
  if (moves.length === 0) return note('There is nothing that can be mended safely.');
  warn(moves.flatMap(describeMove).join('\n'));
  if (!(await confirm(`Move ${amount(moves.length, 'volume')}?`))) return;
  for (const move of moves) {
    using _line = progress(`Moving the data of ${quote(move.service)}`);
    const { snapshotId, container } = await app.audit.applyFix(move, { signal });
    note(
      `Mended: ${quote(container)} runs on ${quote(move.to)}. ${quote(move.from)} is as it was, and saved as ${snapshotId.slice(0, 8)}: remove it when all is well.`,
    );
  }
}

function describeMove({ containerName, from, to, edit, service }: DataMove): string[] {
  return [
    `To be mended: the data of ${quote(containerName)} is in ${quote(from)}, and belongs into ${quote(to)}.`,
    `  1. Save ${quote(from)} as a snapshot`,
    `  2. Stop ${quote(containerName)}, and copy ${quote(from)} into ${quote(to)}, which is empty`,
    ...(edit === undefined
      ? []
      : [
          `  3. Change line ${edit.line} of ${quote(edit.file)}`,
          `     - ${edit.before.trim()}`,
          `     + ${edit.after.trim()}`,
        ]),
    `  ${edit === undefined ? 3 : 4}. Make the container anew: docker compose up -d ${service}`,
  ];
}

/** The severities at which the command fails. */
function parseFailOn(text = 'loss'): readonly Severity[] {
  if (text === 'never') return [];
  const last = severities.findIndex((severity) => severity === text);
  if (last === -1)
    throw new AppError('usage', `Severity ${quote(text)} is unknown`, {
      hint: `Use --fail-on ${severities.join(', --fail-on ')} or --fail-on never.`,
    });
  return severities.slice(0, last + 1);
}

function describeReport(report: AuditReport): string {
  const { findings, known, suppressed, files, containers, volumes, refused, notes, baselineWritten } = report;
  const parts = describeFindings(findings);
  // What the baseline has is still to be mended.
  const nothing = known.length === 0 ? 'nothing to mend' : 'nothing new';
  if (findings.length === 0)
    parts.push(
      refused.length + notes.length === 0
        ? `Good: ${nothing}.`
        : `N${nothing.slice(1)} in what was looked at: the warnings say what was not.`,
    );
  const aside = [
    ...(known.length === 0 ? [] : [`${known.length} in the baseline`]),
    ...(suppressed.length === 0 ? [] : [`${suppressed.length} suppressed`]),
  ];
  const looked = [amount(files.length, 'file'), amount(containers, 'container'), amount(volumes, 'volume')];
  parts.push(
    `Looked at ${looked.join(', ')}: ${amount(findings.length, 'finding')}${aside.length === 0 ? '' : `, ${aside.join(', ')}`}.`,
  );
  if (baselineWritten !== undefined) parts.push(`The baseline ${quote(baselineWritten)} was written.`);
  return parts.join('\n');
}
