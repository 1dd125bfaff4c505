import { ExitCode, proposeCompletions, run } from '@stricli/core';
import { AppError } from '../../model/errors.ts';
import { applicationFor } from './application.ts';
import type { CliContext } from './context.ts';
import { type GlobalFlags, takeLeadingFlags } from './global-flags.ts';
import { failWith } from './report-error.ts';
import { watchSignals } from './signals.ts';
import { watchOutput } from './watch-output.ts';

/** Runs this process's command, and sets its exit number. */
export async function runCommandLine(process: NodeJS.Process): Promise<void> {
  const output = watchOutput(process.stdout);
  watchOutput(process.stderr);
  using signals = watchSignals(process);
  using _unfinished = watchForLostWork(process);
  let leading: { readonly flags: GlobalFlags; readonly rest: readonly string[] };
  try {
    leading = takeLeadingFlags(process.argv.slice(2));
    refuseEmptyValues(leading.rest);
  } catch (error) {
    failWith(process, error);
    return;
  }
  const outcome: { exitCode?: number | string | null } = {};
  const ran: { exitNumber?: number } = {};
  const context: CliContext = {
    process: {
      stdout: process.stdout,
      stderr: process.stderr,
      env: process.env,
      set exitCode(code: number | string | null) {
        outcome.exitCode = code;
      },
    },
    terminal: process,
    env: process.env,
    leadingFlags: leading.flags,
    signal: signals.signal,
    onHangUp: (listener) => signals.onHangUp(listener),
    onSignals: (listener) => signals.onSignals(listener),
    setExitNumber: (number) => (ran.exitNumber = number),
    propose: async (words) => await proposeCompletions(applicationFor([]), words, context),
  };
  const inputs = asksForHelp(leading.rest);
  await run(applicationFor(inputs), inputs, context);
  const ownNumber = signals.exitNumber(exitNumberFor(Number(outcome.exitCode ?? 0)));
  process.exitCode = ownNumber === 0 ? (ran.exitNumber ?? 0) : ownNumber;
  const problem = await output.problem();
  if (problem !== undefined && process.exitCode === 0) failWith(process, problem);
}

/**
 * When nothing keeps the process alive while the command still waits, Node.js would exit silently with its
 * own number. That is a bug in Holdfast, and is reported as one.
 */
function watchForLostWork(process: NodeJS.Process): Disposable {
  const onIdle = (): void => {
    const error = new AppError(
      'failed',
      'The command was left waiting for an answer that cannot come any more',
      {
        hint: 'This is a bug in Holdfast. What was begun is brought to its end by the next command.',
      },
    );
    failWith(process, error);
    process.exit();
  };
  process.once('beforeExit', onIdle);
  return { [Symbol.dispose]: () => void process.off('beforeExit', onIdle) };
}

/** `holdfast help volume ls` is `holdfast volume ls --help`. */
function asksForHelp(inputs: readonly string[]): readonly string[] {
  return inputs[0] === 'help' ? [...inputs.slice(1), '--help'] : inputs;
}

/** The argument scanner reads `--label=` as an argument; this gives a clear error instead. */
function refuseEmptyValues(inputs: readonly string[]): void {
  const end = inputs.indexOf('--');
  const empty = inputs
    .slice(0, end < 0 ? inputs.length : end)
    .find((input) => /^--?[a-z][a-z-]*=$/i.test(input));
  if (empty !== undefined) throw new AppError('usage', `Flag "${empty.slice(0, -1)}" has an empty value`);
}

/** The library's own codes are negative: a wrong command line, or a bug in Holdfast. */
function exitNumberFor(code: number): number {
  if (code === ExitCode.UnknownCommand || code === ExitCode.InvalidArgument) return 2;
  return code < 0 || code > 255 ? 1 : code;
}
