import path from 'node:path';
import type { ComposeCheckReport } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { amount } from '../../../model/size.ts';
import { type ComposeFlags, composeRequestOf, warnOfUnseen } from '../compose-request.ts';
import { describeFinding, placeOf } from '../describe-finding.ts';
import type { Session } from '../session.ts';

export interface ComposeCheckFlags extends ComposeFlags {
  readonly strict?: boolean;
}

export async function runComposeCheck(session: Session, flags: ComposeCheckFlags): Promise<void> {
  const { app, signal, printer } = session;
  const report = await app.compose.check(composeRequestOf(session, flags), { signal });
  const { findings } = report;
  const counted = findings.filter(({ severity }) => flags.strict === true || severity !== 'hygiene');
  printer.print({
    json: () => report,
    text: () => describe(report),
    colours: { Good: 'green' },
    quiet: () =>
      findings.map(({ id, position }) => `${id} ${position === undefined ? '-' : placeOf(position)}`),
  });
  warnOfUnseen(session, report.unseen);
  if (counted.length === 0) return;
  throw new AppError('failed', `The project ${quote(report.project)} has ${amount(counted.length, 'fault')}`);
}

function describe({ project, files, findings }: ComposeCheckReport): string {
  const names = files.map((file) => shortPath(file)).join(', ');
  if (findings.length === 0) return `Good: the project ${quote(project)} (${names}) has no fault.`;
  return findings.map((finding) => describeFinding(finding)).join('\n');
}

/** From here, where that is shorter. */
function shortPath(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative === '' || relative.startsWith('..') ? file : relative;
}
