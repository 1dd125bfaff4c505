import type { CommandContext, StricliProcess } from '@stricli/core';
import type { AppConfig } from '../../app.ts';
import { type GlobalFlags, mergeFlags } from './global-flags.ts';
import { parseFormat, readConfig } from './config.ts';
import { paintFor, paintMessage } from './colour.ts';
import { choosePrinter } from './printer.ts';
import { formatError } from './report-error.ts';
import { openProgress } from './progress.ts';
import type { Session } from './session.ts';
import { type Terminal, askOn, confirmOn, openSink } from './terminal.ts';
import { printableLines } from '../../model/printable-lines.ts';

/** What the command line hands to each command. */
export interface CliContext extends CommandContext {
  readonly process: StricliProcess;
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly leadingFlags: GlobalFlags;
  readonly signal: AbortSignal;
  /** Until it is disposed, SIGHUP calls this instead of ending the command. */
  readonly onHangUp: (listener: () => void) => Disposable;
  /** Until it is disposed, every signal goes to the listener, and ends nothing here. */
  readonly onSignals: (listener: (name: NodeJS.Signals) => void) => Disposable;
  /** The exit number for a command that ends well, when it is another's that it ran. */
  readonly setExitNumber: (number: number) => void;
  /** What could stand in the place of the last word. */
  readonly propose: (words: readonly string[]) => Promise<readonly Proposal[]>;
}

export interface Proposal {
  readonly completion: string;
  readonly brief: string;
}

/** Opens what a command works with, runs it, and closes everything again, whatever happens. */
export async function withSession(
  context: CliContext,
  ownFlags: GlobalFlags,
  act: (session: Session) => Promise<void>,
  { stays = false, onlyReads = false }: Pick<AppConfig, 'stays' | 'onlyReads'> = {},
): Promise<void> {
  const flags = mergeFlags(context.leadingFlags, ownFlags);
  const config = readConfig(flags, context.env);
  const format = parseFormat(flags.format);
  const quiet = flags.quiet ?? false;
  const { openApp } = await import('../../app.ts');
  const { terminal, signal } = context;
  const paint = paintFor(terminal.stderr);
  const say = (message: string): void =>
    void terminal.stderr.write(`${paintMessage(printableLines(message), paint)}\n`);
  await using app = openApp({
    ...config,
    stays,
    onlyReads,
    onWarning: (message) => say(`Warning: ${message}`),
  });
  await act({
    config,
    context,
    app,
    signal,
    quiet,
    printer: choosePrinter(
      { format, quiet, paint: paintFor(terminal.stdout) },
      (text) => void terminal.stdout.write(text),
    ),
    note: quiet ? () => {} : say,
    warn: say,
    confirm: async (question) => (flags.yes ?? false) || (await confirmOn(terminal, { question, signal })),
    ask: async (question) =>
      flags.yes === true || !terminal.stdin.isTTY || !terminal.stderr.isTTY
        ? undefined
        : await askOn(terminal, { question, signal }),
    progress: (title) =>
      openProgress({ title, form: quiet ? 'none' : format === 'json' ? 'json' : 'text', terminal }),
    showError: (error) => say(formatError(error, false)),
    openSink: (options) => openSink(terminal.stdout, options),
    readBytes: () => terminal.stdin,
  });
}
