import path from 'node:path';
import type { ComposeCheckReport, Language } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { amount } from '../../../model/size.ts';
import { type ComposeFlags, composeRequestOf, warnOfUnseen } from '../compose-request.ts';
import { describeFinding, placeOf } from '../describe-finding.ts';
import { withSameFlags } from '../same-flags.ts';
import type { Session } from '../session.ts';

export interface ComposeCheckFlags extends ComposeFlags {
  readonly strict?: boolean;
}

export async function runComposeCheck(
  session: Session,
  flags: ComposeCheckFlags,
  args: readonly string[],
): Promise<void> {
  const { app, signal, printer } = session;
  const checked = await app.compose.check(await composeRequestOf(session, flags, args), { signal });
  const report = withSameFlags(checked, session.sameFlags);
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

export async function runComposeGraph(
  session: Session,
  flags: ComposeFlags,
  args: readonly string[],
): Promise<void> {
  const { app, signal, printer } = session;
  const { stdout } = session.context.terminal;
  const drawn = await app.compose.graph(await composeRequestOf(session, flags, args), { signal });
  printer.print({
    json: () => ({ ...drawn.graph, unseen: drawn.unseen }),
    text: () => drawn.text(stdout.isTTY ? stdout.columns : undefined),
    forms: { mermaid: drawn.mermaid, svg: drawn.svg },
    quiet: () => drawn.graph.volumes.map(({ label }) => label),
  });
  warnOfUnseen(session, drawn.unseen);
}

export interface ComposeExplainFlags extends ComposeFlags {
  readonly lang?: string;
}

export async function runComposeExplain(
  session: Session,
  flags: ComposeExplainFlags,
  args: readonly string[],
): Promise<void> {
  const { app, signal, printer } = session;
  const language = parseLanguage(flags.lang);
  const request = await composeRequestOf(session, flags, args);
  const explanation = await app.compose.explain(request, { signal, language });
  const sentences = explanation.mounts.map(({ sentence }) => sentence);
  printer.print({ json: () => explanation, text: () => sentences.join('\n'), quiet: () => sentences });
  warnOfUnseen(session, explanation.unseen);
}

function parseLanguage(text: string | undefined): Language | undefined {
  if (text === undefined || text === 'en' || text === 'fr') return text;
  throw new AppError('usage', `The language ${quote(text)} is unknown`, {
    hint: 'Use --lang en or --lang fr.',
  });
}
