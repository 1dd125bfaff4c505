import type { App, AppConfig, RecoveryPlace } from '../../app/app.ts';
import type { AppError } from '../../model/errors.ts';
import { printableLines } from '../../model/quote.ts';
import { paintFor, paintMessage } from './colour.ts';
import { parseFormat, readConfig } from './config.ts';
import type { CliContext } from './context.ts';
import { type GlobalFlags, mergeFlags } from './global-flags.ts';
import { choosePrinter, type Printer } from './printer.ts';
import { openProgress, type ProgressLine } from './progress.ts';
import { formatError } from './report-error.ts';
import { sameFlags } from './same-flags.ts';
import { askOn, confirmOn, openSink } from './terminal.ts';

export interface Session {
  readonly app: App;
  readonly config: AppConfig;
  /** The command line's context; for the completion. */
  readonly context: CliContext;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  readonly printer: Printer;
  readonly quiet: boolean;
  /** The flags of the command line that say where to look, for commands that are printed. */
  readonly sameFlags: readonly string[];
  /** A program reads the output. */
  readonly isJson: boolean;
  /** A remark for people, on standard error; silent with --quiet. */
  readonly note: (message: string) => void;
  /** A warning that the user must see, on standard error. */
  readonly warn: (message: string) => void;
  /**
   * Asks on the terminal; true at once with --yes. Without a terminal it throws a usage error that names
   * --yes.
   */
  readonly confirm: (question: string) => Promise<boolean>;
  /** Asks on the terminal for a line; undefined without one, or with --yes. */
  readonly ask: (question: string) => Promise<string | undefined>;
  /** Shows a job's progress until it is disposed; disposal is idempotent. */
  readonly progress: (title: string) => ProgressLine;
  /** An error that does not end the command. */
  readonly showError: (error: AppError) => void;
  /**
   * Writes raw bytes to standard output; the promise resolves when it can take more. Refuses a terminal
   * unless allowed.
   */
  openSink(options?: { readonly mayBeTerminal?: boolean }): (chunk: Uint8Array) => Promise<void>;
  readonly readBytes: () => AsyncIterable<Uint8Array>;
}

export interface SessionOptions extends Pick<AppConfig, 'stays' | 'onlyReads'> {
  readonly forms?: readonly string[] | undefined;
  readonly recovers?: readonly RecoveryPlace[];
}

/**
 * Garbage of long works would double the heap, which is small: most of their memory is buffers of a fixed size. As an option
 * of Node.js this would keep V8 from using any code that was compiled before, also that of Node.js itself: 30 ms. The module
 * is not imported, since Node.js's streams stand behind it: 2 ms of a start that opens no App.
 */
function keepHeapSmall(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--heap-growing-percent=40');
}

/** Opens a command's session, runs it, and always closes everything again. */
export async function withSession(
  context: CliContext,
  ownFlags: GlobalFlags,
  act: (session: Session) => Promise<void>,
  { stays = false, onlyReads = false, recovers = ['host'], forms }: SessionOptions = {},
): Promise<void> {
  const flags = mergeFlags(context.leadingFlags, ownFlags);
  const config = readConfig(flags, context.env);
  const format = parseFormat(flags.format, forms);
  const base = openBase({ context, flags, config, format });
  const { openApp } = await import('../../app.ts');
  keepHeapSmall();
  await using app = openApp({
    ...config,
    stays,
    onlyReads,
    onWarning: (message) => base.warn(`Warning: ${message}`),
  });
  for (const place of recovers) await app.recoverAtStart(place);
  await act({ ...base, app });
}

function openBase({
  context,
  flags,
  config,
  format,
}: Pick<Session, 'context' | 'config'> & {
  readonly flags: GlobalFlags;
  readonly format: string;
}): Omit<Session, 'app'> {
  const quiet = flags.quiet ?? false;
  const { terminal, signal } = context;
  const paint = paintFor(terminal.stderr);
  const say = (message: string): void =>
    void terminal.stderr.write(`${paintMessage(printableLines(message), paint)}\n`);
  return {
    config,
    context,
    signal,
    quiet,
    sameFlags: sameFlags(flags),
    isJson: format === 'json',
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
  };
}
