import type { CommandContext, StricliProcess } from '@stricli/core';
import type { GlobalFlags } from './global-flags.ts';
import type { Terminal } from './terminal.ts';

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
