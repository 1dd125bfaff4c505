import type { Container, Containers, ExecRequest } from '../../hosts/containers.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { formatDuration, longestTimerMs } from '../../model/duration.ts';
import { quote } from '../../model/quote.ts';

/** Where a command runs. */
export interface ClientPlace {
  readonly containers: Containers;
  readonly container: Pick<Container, 'id' | 'name'>;
  readonly signal?: AbortSignal | undefined;
}

export interface ClientRequest extends Omit<ExecRequest, 'stdin'> {
  readonly stdin?: string | AsyncIterable<Uint8Array> | undefined;
  /** Time limit; undefined waits as long as it takes. */
  readonly withinMs?: number | undefined;
}

export interface ClientResult {
  readonly exitCode: number;
  /** At most its first mebibyte. */
  readonly stdout: string;
  readonly stderr: string;
}

const stdoutAtMost = 1 << 20;

/**
 * Runs a command to its end. Throws if it could not run, was cancelled or timed out; not for its exit code.
 */
export async function runClient(place: ClientPlace, request: ClientRequest): Promise<ClientResult> {
  return await withTimeLimit(place, request, async (signal) => {
    const { id } = place.container;
    const run = await place.containers.exec(id, asExec(request), { signal });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of run.stdout) {
      // The output has to be read to its end in any case.
      if (bytes < stdoutAtMost) chunks.push(chunk);
      bytes += chunk.length;
    }
    const { exitCode, stderr } = await run.ended;
    return { exitCode, stderr, stdout: Buffer.concat(chunks).subarray(0, stdoutAtMost).toString('utf8') };
  });
}

/** Like `runClient`, and throws for a failing exit code. */
export async function runClientWell(
  place: ClientPlace,
  request: ClientRequest & { readonly action: string },
): Promise<string> {
  const result = await runClient(place, request);
  if (result.exitCode === 0) return result.stdout;
  throw clientFailed({ ...request, container: place.container.name, ...result });
}

/** True when the container has no such program. */
export function isMissingProgram({ exitCode, stdout, stderr }: ClientResult): boolean {
  return (exitCode === 126 || exitCode === 127) && missing.test(`${stdout}\n${stderr}`);
}

const missing = /executable file not found|no such file or directory|not found/i;

/** The first of several programs that the container has, with its version output. */
export async function findProgram(
  place: ClientPlace,
  names: readonly string[],
): Promise<{ readonly name: string; readonly version: string } | undefined> {
  for (const name of names) {
    try {
      const result = await runClient(place, { command: [name, '--version'], withinMs: 30_000 });
      if (isMissingProgram(result)) continue;
      return { name, version: `${result.stdout}${result.stderr}`.trim() };
    } catch (error) {
      // Some engines refuse to start a missing program, others let it fail.
      if (!isMissingError(error)) throw error;
    }
  }
  return undefined;
}

function isMissingError(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code !== 'cancelled' &&
    /executable file not found|no such file or directory/i.test(`${error.message}\n${error.detail ?? ''}`)
  );
}

/** A file of the container, such as a mounted secret; undefined when it cannot be read. */
export async function readContainerFile(place: ClientPlace, path: string): Promise<string | undefined> {
  for (const user of [undefined, '0']) {
    const command = ['cat', '--', path];
    const result = await runClient(place, { command, user, withinMs: 30_000 }).catch((error: unknown) => {
      if (isMissingError(error) || isAppError(error, 'failed')) return undefined;
      throw error;
    });
    if (result?.exitCode === 0) return result.stdout;
  }
  return undefined;
}

export interface FailedClient extends Pick<ClientResult, 'exitCode' | 'stderr'> {
  /** `Cannot dump "shop"`. */
  readonly action: string;
  readonly container: string;
  readonly command: readonly string[];
}

export function clientFailed({ action, container, command, exitCode, stderr }: FailedClient): AppError {
  const program = quote(command[0] ?? '');
  return new AppError('failed', `${action}: ${program} in ${quote(container)} failed (exit ${exitCode})`, {
    detail: lastLines(stderr),
  });
}

/** The last lines that a program printed. */
export function lastLines(text: string): string | undefined {
  const lines = text.trimEnd().split('\n').slice(-5).join('\n');
  return lines === '' ? undefined : lines;
}

export function asExec({ stdin, command, user, workingDir, environment }: ClientRequest): ExecRequest {
  const input = typeof stdin === 'string' ? once(stdin) : stdin;
  return { command, user, workingDir, environment, stdin: input };
}

async function* once(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from(text, 'utf8');
}

async function withTimeLimit<T>(
  place: ClientPlace,
  { command, withinMs }: ClientRequest,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (withinMs === undefined) return await work(place.signal);
  const limit = AbortSignal.timeout(Math.min(withinMs, longestTimerMs));
  try {
    return await work(place.signal ? AbortSignal.any([place.signal, limit]) : limit);
  } catch (error) {
    if (!limit.aborted || place.signal?.aborted === true) throw error;
    const program = `${quote(command[0] ?? '')} in ${quote(place.container.name)}`;
    throw new AppError('failed', `${program} did not end within ${formatDuration(withinMs)}`, {
      cause: error,
    });
  }
}
