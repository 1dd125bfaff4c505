import type { App, AppConfig } from '../../app.ts';
import type { AppError } from '../../model/errors.ts';
import type { CliContext } from './context.ts';
import type { Printer } from './printer.ts';
import type { ProgressLine } from './progress.ts';

/** What a command has to work with. */
export interface Session {
  readonly config: AppConfig;
  /** What the command line was given; for the completion. */
  readonly context: CliContext;
  readonly app: App;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  readonly printer: Printer;
  readonly quiet: boolean;
  /** A remark for people, on standard error; not with --quiet. */
  readonly note: (message: string) => void;
  /** Something that the user must see, on standard error. */
  readonly warn: (message: string) => void;
  /** Asks on the terminal; true at once with --yes. Without a terminal it is a usage error that names --yes. */
  readonly confirm: (question: string) => Promise<boolean>;
  /** Asks on the terminal for a line; undefined where there is none, or with --yes. */
  readonly ask: (question: string) => Promise<string | undefined>;
  /** Shows how a job gets on, until it is disposed, which may be repeated. */
  readonly progress: (title: string) => ProgressLine;
  /** An error that is not the end of the command. */
  readonly showError: (error: AppError) => void;
  /** Takes raw bytes to standard output; its promise is kept when it can take more. A terminal is refused unless it may be one. */
  openSink(options?: { readonly mayBeTerminal?: boolean }): (chunk: Uint8Array) => Promise<void>;
  /** Standard input as bytes. */
  readonly readBytes: () => AsyncIterable<Uint8Array>;
}
