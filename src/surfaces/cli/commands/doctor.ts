import type { DoctorFinding, DoctorReport, FixOutcome } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote, shellLine } from '../../../model/quote.ts';
import { amount } from '../../../model/size.ts';
import { describeFinding } from '../describe-finding.ts';
import { withSameFlags } from '../same-flags.ts';
import type { Session } from '../session.ts';

export interface DoctorFlags {
  readonly fix?: boolean;
}

export async function runDoctor(
  session: Session,
  { fix = false }: DoctorFlags,
  [subject]: readonly string[],
): Promise<void> {
  const { app, signal, printer } = session;
  const examine = async (): Promise<DoctorReport> =>
    withSameFlags(await app.doctor.examine({ subject }, { signal }), session.sameFlags);
  let report = await examine();
  let fixes: FixOutcome[] | undefined;
  const fixable = report.findings.filter((finding) => finding.fix !== undefined);
  if (fix && fixable.length > 0) {
    session.warn(describeFixes(fixable));
    if (await session.confirm(`Carry out ${amount(fixable.length, 'change')}?`)) {
      fixes = await app.doctor.applyFixes(fixable, { signal });
      report = await examine();
    }
  }
  printer.print({
    json: () => app.doctor.asJson.report(report, fixes),
    text: () => describeReport(report, fixes ?? []),
    colours: { 'Not looked at': 'yellow', Healthy: 'green', Mended: 'green', 'Not mended': 'red' },
    quiet: () => report.findings.map(({ id, subject: { name } }) => `${id} ${name}`),
  });
  const faults = faultsOf(report);
  if (faults.length === 0) return;
  // Some is mended only for what is asked for by its name.
  const withFix = [
    'holdfast',
    ...session.sameFlags,
    'doctor',
    ...(subject === undefined ? [] : [subject]),
    '--fix',
  ];
  throw new AppError('failed', `The doctor found ${amount(faults.length, 'fault')}`, {
    hint:
      !fix && report.findings.some((finding) => finding.fix !== undefined)
        ? `"${shellLine(withFix)}" shows what it can mend, and asks.`
        : undefined,
  });
}

function faultsOf({ findings }: DoctorReport): DoctorFinding[] {
  return findings.filter(({ isHint }) => isHint !== true);
}

function describeFixes(findings: readonly DoctorFinding[]): string {
  const lines = findings.flatMap((finding) => [`  ${finding.message}`, `    ${changeOf(finding)}`]);
  return ['To be mended:', ...lines].join('\n');
}

/** What is done, and no more: the remedy for a lost folder is its data, and an empty one hides the loss. */
function changeOf({ fix, remedy }: DoctorFinding): string {
  if (fix?.kind !== 'folder') return remedy;
  return `Make the folder ${quote(fix.path)} for ${fix.uid}:${fix.gid}, with nothing in it.`;
}

function describeReport(report: DoctorReport, fixes: readonly FixOutcome[]): string {
  const { findings, notLookedAt, looked } = report;
  const parts = [
    ...fixes.map(describeOutcome),
    ...findings.map((finding) => describeFinding(finding)),
    ...notLookedAt.map(({ subject, reason }) => `Not looked at: ${subject}: ${reason}`),
  ];
  const hints = findings.length - faultsOf(report).length;
  if (hints === findings.length)
    parts.push(
      `${hints === 0 ? '' : `The above is no fault, and good to know.\n`}${notLookedAt.length === 0 ? 'Healthy' : 'No fault in what was looked at'}: ${amount(looked.containers, 'container')}, ${amount(looked.volumes, 'volume')}, ${amount(looked.mounts, 'mount')}.`,
    );
  return parts.join('\n');
}

function describeOutcome({ finding, applied, error }: FixOutcome): string {
  if (applied === undefined) return `Not mended: ${finding.message}: ${error?.message ?? ''}`;
  const left =
    applied.left === 0
      ? ''
      : `; ${amount(applied.left, 'file')} with further names elsewhere left as they were`;
  return `Mended: ${finding.message}${left}`;
}
