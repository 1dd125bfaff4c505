import { spawn } from 'node:child_process';
import { constants } from 'node:os';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Standard input; empty by default. */
  readonly input?: string;
  /** True shows the output as it arrives; false returns it in the result. */
  readonly show?: boolean;
}

export interface RunResult {
  /** As in a shell: 128 plus the signal's number when a signal ended it. */
  readonly exitCode: number;
  /** Standard output and standard error together, in order of arrival. */
  readonly output: string;
  readonly stdout: string;
}

/**
 * Runs a program with an argument array, never through a shell. A program that cannot start has exit code
 * 127.
 */
export function runCommand(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { promise, resolve } = Promise.withResolvers<RunResult>();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const all: Buffer[] = [];
  const out: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => {
    all.push(chunk);
    out.push(chunk);
    if (options.show === true) process.stdout.write(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    all.push(chunk);
    if (options.show === true) process.stderr.write(chunk);
  });
  const finish = (exitCode: number): void =>
    resolve({ exitCode, output: Buffer.concat(all).toString(), stdout: Buffer.concat(out).toString() });
  child.on('error', (error) => {
    all.push(Buffer.from(`${error.message}\n`));
    finish(127);
  });
  child.on('close', (code, signal) =>
    finish(code ?? (signal === null ? 1 : 128 + constants.signals[signal])),
  );
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  return promise;
}

/** Runs a program and returns its standard output; throws its output when it fails. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await runCommand(program, args, options);
  if (result.exitCode !== 0) throw new Error(`${program} ${args.join(' ')}\n${result.output.trim()}`);
  return result.stdout;
}
