import type { CommandContext, StricliProcess } from '@stricli/core';
import type { GlobalFlags } from './global-flags.ts';
import type { Terminal } from './terminal.ts';

/** The command line's context for each command. */
export interface CliContext extends CommandContext {
  readonly process: StricliProcess;
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly leadingFlags: GlobalFlags;
  readonly signal: AbortSignal;
  /** Until disposal, SIGHUP calls this instead of ending the command. */
  readonly onHangUp: (listener: () => void) => Disposable;
  /** Until disposal, every signal goes to the listener, and ends nothing here. */
  readonly onSignals: (listener: (name: NodeJS.Signals) => void) => Disposable;
  /** The exit number for a command that succeeds, when it is that of a program that the command ran. */
  readonly setExitNumber: (number: number) => void;
  /** Completions of the last word. */
  readonly propose: (words: readonly string[]) => Promise<readonly Proposal[]>;
}

export interface Proposal {
  readonly completion: string;
  readonly brief: string;
}
