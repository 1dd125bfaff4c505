import { type ChildProcess, spawn } from 'node:child_process';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { toolEnvironment, userEnvironment } from './child-environment.ts';
import { watchSilence } from './silence.ts';

export interface RunProgramOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default 60 s. A program that hangs in the kernel is then abandoned. */
  readonly timeoutMs?: number;
  /** Standard input. Secrets go this way, since every user can see arguments. */
  readonly input?: Uint8Array | string | undefined;
  /** Added to the variables that every tool gets, which hold no secret. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * For programs that the user configures by variables of any name, as rclone: passes all but our own
   * secrets.
   */
  readonly isUsers?: boolean | undefined;
  /**
   * Kills the program's own children with it, whichever process has killed it: a mount helper must not mount after the
   * mount was given up. They are a session of their own, which Ctrl-C does not reach.
   */
  readonly hasHelpers?: boolean | undefined;
  /** Open files that the program has as 3, 4 …, as `/proc/self/fd/3` where it wants a path. */
  readonly files?: readonly number[] | undefined;
  /**
   * An open file for both of its output streams, from which the caller reads them. Pipes break with this process, and
   * most programs end at that: one that has a file, and helpers, comes to its end all the same.
   */
  readonly output?: number | undefined;
  /** The program's Debian package, for the hint when it is missing. */
  readonly debianPackage?: string | undefined;
}

export interface ProgramResult {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  /** Its error output, shortened and trimmed. */
  readonly stderr: string;
}

const shownBytes = 4000;
const keptBytes = 1 << 20;

/**
 * Runs a program without a shell, to its end whatever its status. `unsupported` when the program is missing,
 * `failed` when it prints more than a mebibyte, `unavailable` when it takes too long, `cancelled` by the
 * signal; in the last three cases it is killed.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<ProgramResult> {
  const { signal, timeoutMs = 60_000 } = options;
  if (signal?.aborted === true) throw cancelledProgram(program, signal);
  const child = spawn(program, args, {
    stdio: ['pipe', options.output ?? 'pipe', options.output ?? 'pipe', ...(options.files ?? [])],
    detached: options.hasHelpers === true,
    env: { ...toolEnvironment(), ...(options.isUsers === true && userEnvironment()), ...options.env },
  });
  const { promise, resolve, reject } = Promise.withResolvers<ProgramResult>();
  const stop = (error: AppError): void => {
    if (options.hasHelpers === true) killGroup(child);
    letGo(child);
    reject(error);
  };
  const patience = watchSilence(timeoutMs, () => {
    if (child.exitCode === null && child.signalCode === null) stop(tooLong(program, timeoutMs));
  });
  const onAbort = (): void => stop(cancelledProgram(program, signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  collect(child, (result) => {
    if (result.stdout.length > keptBytes) reject(saysTooMuch(program));
    else resolve(result);
  });
  if (options.hasHelpers === true)
    child.once('exit', (status) => {
      // Its children would go on with what the caller takes for failed.
      if (status === null) killGroup(child);
    });
  child.on('error', (error) => reject(startError(program, error, options)));
  // A program that does not read its input reports that by its status.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  try {
    return await promise;
  } finally {
    patience.stop();
    signal?.removeEventListener('abort', onAbort);
  }
}

function collect(child: ReturnType<typeof spawn>, resolve: (result: ProgramResult) => void): void {
  let [stdout, stderr] = ['', ''];
  child.stdout
    ?.setEncoding('utf8')
    .on('data', (text: string) => (stdout = (stdout + text).slice(0, keptBytes + 1)));
  child.stderr
    ?.setEncoding('utf8')
    .on('data', (text: string) => (stderr = (stderr + text).slice(0, shownBytes)));
  // Its daemons may keep its pipes open: the end of the program itself counts, with a moment for its last
  // output.
  child.on('exit', (status) => {
    const done = (): void => {
      letGoOfPipes(child);
      resolve({ status: status ?? undefined, stdout, stderr: stderr.trim() });
    };
    const moment = setTimeout(done, 250);
    child.on('close', () => {
      clearTimeout(moment);
      done();
    });
  });
}

/** Kills the child, and neither waits for it nor lets it keep this process alive. */
function letGo(child: ChildProcess): void {
  child.kill('SIGKILL');
  child.unref();
  letGoOfPipes(child);
}

/** For a child that leads its own group. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // The whole group has ended.
  }
}

function letGoOfPipes(child: ChildProcess): void {
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
}

/** `unsupported`, with its package, for a program that is not installed; otherwise `failed`. */
export function startError(
  program: string,
  error: unknown,
  { debianPackage }: Pick<RunProgramOptions, 'debianPackage'>,
): AppError {
  if (errnoOf(error) === 'ENOENT') {
    return new AppError('unsupported', `The program ${quote(program)} is not installed`, {
      hint: debianPackage === undefined ? undefined : `On Debian: apt-get install ${debianPackage}.`,
      cause: error,
    });
  }
  return new AppError('failed', `The program ${quote(program)} cannot be started`, { cause: error });
}

/** The kept part may end in the middle of what matters. */
function saysTooMuch(program: string): AppError {
  return new AppError('failed', `${quote(program)} says more than can be taken in`);
}

function tooLong(program: string, timeoutMs: number): AppError {
  return new AppError(
    'unavailable',
    `${quote(program)} did not come to an end within ${Math.round(timeoutMs / 1000)} seconds`,
  );
}

export function cancelledProgram(program: string, signal: AbortSignal | undefined): AppError {
  return new AppError('cancelled', `${quote(program)} was cancelled`, { cause: signal?.reason });
}
