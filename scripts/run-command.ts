import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Text for its standard input; nothing when left out. */
  readonly input?: string;
  /** True shows the output while it comes; false keeps it in the result. */
  readonly show?: boolean;
}

export interface RunResult {
  /** 128 and the signal's number when a signal ended it, as a shell says it. */
  readonly exitCode: number;
  /** Standard output and standard error together, in the order in which they came. */
  readonly output: string;
  readonly stdout: string;
}

/** Runs a program with an argument array, never through a shell. A program that can't start has exit code 127. */
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
  child.on('close', (code, signal) => finish(code ?? (signal === null ? 1 : 128 + 15)));
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  return promise;
}

/** Runs a program, gives its standard output, and throws what it said when it fails. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await runCommand(program, args, options);
  if (result.exitCode !== 0) throw new Error(`${program} ${args.join(' ')}\n${result.output.trim()}`);
  return result.stdout;
}
