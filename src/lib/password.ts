import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { userEnvironment } from './child-environment.ts';
import { requireOwn } from './own-path.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote, splitWords } from '../model/quote.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const commandLimitMs = 120_000;

/**
 * The password at a reference (`file:/path`, `env:NAME`, `exec:command`), without a line end. Never empty. A
 * command stored in a state folder that other users can write to is not run: `denied`.
 */
export async function readPassword(
  reference: string,
  env: Environment,
  writtenIn?: { readonly stateDir: string },
): Promise<Uint8Array> {
  const at = reference.indexOf(':');
  const kind = reference.slice(0, at);
  const rest = reference.slice(at + 1);
  if (kind === 'exec' && writtenIn !== undefined)
    await requireOwn(writtenIn.stateDir, 'Cannot run a command that the state folder names');
  const password = withoutLineEnd(await readRaw(kind, { rest, env }));
  if (password.length === 0) {
    throw new AppError('usage', `The repository's password is empty`, {
      hint: `It came from ${describe(kind, rest)}.`,
    });
  }
  return password;
}

interface RawOptions {
  readonly rest: string;
  readonly env: Environment;
}

async function readRaw(kind: string, { rest, env }: RawOptions): Promise<Buffer> {
  if (kind === 'file') return await readPasswordFile(rest);
  if (kind === 'env') return readVariable(rest, env);
  if (kind === 'exec') return await runPasswordCommand(rest, env);
  throw new AppError('usage', `Cannot read a password from ${quote(kind)}`, {
    hint: 'Use file:, env: or exec:.',
  });
}

function readVariable(name: string, env: Environment): Buffer {
  const value = env[name];
  if (value !== undefined) return Buffer.from(value, 'utf8');
  throw new AppError('usage', `The variable ${name}, which has the repository's password, is not set`, {
    hint: `Set it, or give the password with --password-file.`,
  });
}

async function readPasswordFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const errno = errnoOf(error);
    const code = errno === 'EACCES' || errno === 'EPERM' ? 'denied' : 'not-found';
    throw new AppError(code, `Cannot read the password file ${quote(path)}: ${errno ?? String(error)}`, {
      hint: 'Bring the key back from where you keep its copy, or name another with --password-file.',
      cause: error,
    });
  }
}

/**
 * Runs without a shell; the standard output is the password, and its messages are hidden since they may
 * contain it.
 */
async function runPasswordCommand(command: string, env: Environment): Promise<Buffer> {
  const [program, ...args] = splitWords(command);
  if (program === undefined) throw new AppError('usage', 'The password command is empty');
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      encoding: 'buffer',
      env: userEnvironment(env),
      timeout: commandLimitMs,
    });
    return stdout;
  } catch (error) {
    const status = error instanceof Error && 'code' in error ? String(error.code) : 'it was ended';
    throw new AppError('failed', `The password command ${quote(program)} failed: ${status}`, {
      hint: 'Run it by hand to see why. It is run without a shell.',
      cause: error,
    });
  }
}

function withoutLineEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end--;
  if (bytes[end - 1] === 0x0d) end--;
  return bytes.subarray(0, end);
}

function describe(kind: string, rest: string): string {
  if (kind === 'file') return `the file ${quote(rest)}`;
  return kind === 'env' ? `the variable ${rest}` : 'the password command';
}
