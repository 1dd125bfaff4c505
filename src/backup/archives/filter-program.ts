import { awaitedLater } from '../../lib/awaited-later.ts';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { AppError, errnoOf } from '../../model/errors.ts';
import { toolEnvironment } from '../../lib/child-environment.ts';

const shownBytes = 2000;

/**
 * Pipes bytes through a program. `unsupported` when there is no such program, `integrity` when it fails. The
 * program is killed when the caller stops reading, for whatever reason.
 */
export async function* throughProgram(
  bytes: AsyncIterable<Uint8Array>,
  program: string,
  args: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: toolEnvironment() });
  const ended = once(child, 'close') as Promise<[code: number | null]>;
  awaitedLater(ended);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(0, shownBytes)));
  // When the program stops reading, its exit says why.
  const feeding = pipeline(bytes, child.stdin);
  awaitedLater(feeding);
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
    // The exit of the program says what went wrong.
    await feeding.catch(() => undefined);
  }
}

function missing(program: string, cause: unknown): AppError {
  return new AppError('unsupported', `Reading it needs the program "${program}", which is not installed`, {
    hint: `Install it, or decompress the file first.`,
    cause,
  });
}
