import { AppError, errnoOf } from '../../model/errors.ts';
import { cannotWrite } from './watch-output.ts';
import { printableLines } from '../../model/quote.ts';

export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

interface Question {
  readonly question: string;
  readonly signal: AbortSignal;
}

/** Asks a yes-or-no question; anything but "y" or "yes" is no. */
export async function confirmOn(terminal: Terminal, { question, signal }: Question): Promise<boolean> {
  if (!terminal.stdin.isTTY || !terminal.stderr.isTTY) {
    throw new AppError('usage', 'This needs a confirmation, and there is no terminal to ask on', {
      hint: 'Add --yes to go ahead, or --dry-run where there is one to see what would happen.',
    });
  }
  return /^y(es)?$/i.test(await askOn(terminal, { question: `${question} [y/N]`, signal }));
}

/** Asks for a line; '' when the terminal is closed. */
export async function askOn(terminal: Terminal, { question, signal }: Question): Promise<string> {
  // Few commands ask, and it takes a millisecond to load.
  const { createInterface } = await import('node:readline/promises');
  const reader = createInterface({ input: terminal.stdin, output: terminal.stderr });
  try {
    const ended = new Promise<string>((resolve) => void reader.once('close', () => resolve('')));
    const answer = await Promise.race([reader.question(`${printableLines(question)} `, { signal }), ended]);
    return answer.trim();
  } finally {
    reader.close();
  }
}

/** Writes bytes to a stream that stays open, no faster than its reader. */
export function openSink(
  stream: NodeJS.WriteStream,
  options: { readonly mayBeTerminal?: boolean } = {},
): (chunk: Uint8Array) => Promise<void> {
  if (stream.isTTY && options.mayBeTerminal !== true) {
    throw new AppError('usage', 'This writes raw bytes, and standard output is a terminal', {
      hint: 'Send it to a file or another program: … > FILE, or … | PROGRAM.',
    });
  }
  return (chunk) =>
    new Promise((resolve, reject) => {
      stream.write(chunk, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(errnoOf(error) === 'EPIPE' ? readerEnded(error) : cannotWrite(error));
      });
    });
}

function readerEnded(cause: Error): AppError {
  return new AppError('cancelled', 'The program that read the output has ended', { cause });
}
