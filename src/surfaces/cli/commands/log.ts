import type { LogEntry, LogKind, LogVerification } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { logKinds } from '../../../model/log-entry.ts';
import { parseSince } from '../../../model/parse-time.ts';
import { printableField, quote } from '../../../model/quote.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface LogFlags {
  readonly volume?: string;
  readonly since?: string;
  readonly kind?: readonly string[];
  readonly last?: string;
  readonly verify?: boolean;
}

export async function runLog(session: Session, flags: LogFlags): Promise<void> {
  if (flags.verify) return await verify(session, flags);
  const entries = await session.app.activity.listLog({
    volume: flags.volume,
    kinds: kindsOf(flags.kind),
    sinceMs: flags.since === undefined ? undefined : parseSince(flags.since, new Date()).getTime(),
    limit: flags.last === undefined ? undefined : parseCount(flags.last),
  });
  session.printer.print({
    json: () => entries,
    text: () => (entries.length === 0 ? 'The log has nothing of that.' : describe(entries)),
    quiet: () => entries.map(({ sequence }) => String(sequence)),
  });
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new AppError('usage', `Cannot read ${quote(text)} as a number of entries`, {
    hint: 'Write a whole number.',
  });
}

/** One text may hold several: `backup,restore`. */
function kindsOf(texts: readonly string[] | undefined): LogKind[] | undefined {
  return texts
    ?.flatMap((text) => text.split(','))
    .map((text) => {
      const kind = logKinds.find((known) => known === text);
      if (kind !== undefined) return kind;
      throw new AppError('usage', `The log has no entries of the kind ${quote(text)}`, {
        hint: `There are ${logKinds.join(', ')}.`,
      });
    });
}

function describe(entries: readonly LogEntry[]): string {
  return formatTable(entries, [
    { title: 'NUMBER', value: ({ sequence }) => String(sequence), align: 'right' },
    { title: 'TIME', value: ({ time }) => localTime(time) },
    { title: 'WHAT', value: ({ kind }) => kind },
    { title: 'OUTCOME', value: ({ kind, outcome }) => (kind === 'gap' ? '' : outcome) },
    { title: 'VOLUME', value: ({ volume }) => printableField(volume ?? '') },
    { title: 'SNAPSHOT', value: ({ snapshot }) => snapshot?.slice(0, 8) ?? '' },
    { title: 'BY', value: ({ by }) => printableField(by) },
    { title: 'MESSAGE', value: ({ message }) => printableField(message ?? '') },
  ]);
}

async function verify(session: Session, flags: LogFlags): Promise<void> {
  if (flags.volume ?? flags.since ?? flags.kind ?? flags.last) {
    throw new AppError('usage', 'The log can be verified as a whole only', {
      hint: 'Use --verify without other flags.',
    });
  }
  const found = await session.app.activity.verifyLog({ signal: session.signal });
  session.printer.print({
    json: () => ({ whole: found.problems.length === 0, ...found }),
    text: () => inWords(found),
    quiet: () => (found.head === undefined ? [] : [found.head]),
  });
  if (found.problems.length === 0) return;
  throw new AppError('integrity', 'The log is not as it was written', {
    hint: 'It was changed from outside. Compare it with a copy; backups are not affected by it.',
  });
}

function inWords({ entries, lastSequence, head, gaps, problems }: LogVerification): string {
  const lines = problems.map(
    ({ segment, line, message }) => `${segment}${line > 0 ? `:${line}` : ''}: ${printableField(message)}`,
  );
  for (const { sequence, message } of gaps)
    lines.push(`Gap at ${sequence}: ${printableField(message ?? '')}`);
  if (problems.length > 0) return lines.join('\n');
  if (head === undefined) return 'The log is empty.';
  lines.push(
    `The log is whole: ${entries} ${entries === 1 ? 'entry' : 'entries'}, the last is ${lastSequence}.`,
  );
  lines.push(`Its head is ${head}`);
  return lines.join('\n');
}
