import type { Language } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { type ComposeFlags, composeRequestOf, warnOfUnseen } from '../compose-request.ts';
import type { Session } from '../session.ts';

export interface ComposeExplainFlags extends ComposeFlags {
  readonly lang?: string;
}

export async function runComposeExplain(session: Session, flags: ComposeExplainFlags): Promise<void> {
  const { app, signal, printer } = session;
  const language = parseLanguage(flags.lang);
  const explanation = await app.compose.explain(composeRequestOf(session, flags), { signal, language });
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
