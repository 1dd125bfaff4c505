import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { AppError, errnoOf } from '../../model/errors.ts';
import { toolEnvironment } from '../../lib/child-environment.ts';

const shownBytes = 2000;

/**
 * Runs bytes through a program, from its standard input to its standard output. `unsupported` when there is no such
 * program, `integrity` when it does not end well. It is ended when this is left, for whatever reason.
 */
export async function* throughProgram(
  bytes: AsyncIterable<Uint8Array>,
  program: string,
  args: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: toolEnvironment() });
  const ended = once(child, 'close') as Promise<[code: number | null]>;
  ended.catch(() => undefined);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(0, shownBytes)));
  // What it does not want to read any more is told by its end.
  const feeding = pipeline(bytes, child.stdin);
  feeding.catch(() => undefined);
  try {
    for await (const chunk of child.stdout) yield chunk as Uint8Array;
    const [code] = await ended;
    if (code !== 0)
      throw new AppError('integrity', `${program} cannot read it`, { detail: said.trim() || undefined });
    await feeding;
  } catch (error) {
    throw errnoOf(error) === 'ENOENT' ? missing(program, error) : error;
  } finally {
    child.kill('SIGKILL');
    await feeding.catch(() => undefined);
  }
}

function missing(program: string, cause: unknown): AppError {
  return new AppError('unsupported', `Reading it needs the program "${program}", which is not installed`, {
    hint: `Install it, or decompress the file first.`,
    cause,
  });
}
