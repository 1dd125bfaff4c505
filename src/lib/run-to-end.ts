import { spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import koffi from 'koffi';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { toolEnvironment } from './child-environment.ts';
import { cancelledProgram, type ProgramResult, startError } from './run-program.ts';

const flock = koffi.load(null).func('int flock(int fd, int operation)');
const exclusiveWithoutWaiting = 2 | 4;
const lockName = 'program.lock';
const shownBytes = 4000;

export interface RunToEndOptions {
  /** Cancels only before the program starts. */
  readonly signal?: AbortSignal | undefined;
  readonly input?: string | undefined;
  /** The program's Debian package, for the hint when it is missing. */
  readonly debianPackage?: string | undefined;
  /**
   * The folder of what the program changes. A file in it is locked while the program runs, even after this
   * process has ended.
   */
  readonly folder: string;
}

/** The output of the program, both streams, shortened. */
export type EndedProgram = Pick<ProgramResult, 'status'> & { readonly said: string };

/**
 * Runs a program that must not be interrupted, such as one that moves the data of a file system: without a
 * time limit, in a session of its own that Ctrl-C does not reach, and to its end even when this process is
 * killed. A cancelled caller still waits for it.
 */
export async function runToEnd(
  program: string,
  args: readonly string[],
  { signal, input, debianPackage, folder }: RunToEndOptions,
): Promise<EndedProgram> {
  if (signal?.aborted === true) throw cancelledProgram(program, signal);
  // Its output goes into the file too: a pipe would break with this process, and the program with it.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
  const lockFile = join(folder, lockName);
  await using file = await open(lockFile, flags, 0o600);
  if (flock(file.fd, exclusiveWithoutWaiting) !== 0) {
    throw new AppError('locked', `Cannot run ${quote(program)}: one that was started before still runs`, {
      hint: 'Wait for its end.',
    });
  }
  await file.truncate(0);
  const child = spawn(program, args, {
    stdio: ['pipe', file.fd, file.fd],
    detached: true,
    env: toolEnvironment(),
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  child.on('error', (error) => reject(startError(program, error, { debianPackage })));
  child.on('exit', (status) => resolve(status ?? undefined));
  // A program that does not read its input reports that by its status.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input ?? '');
  try {
    const status = await promise;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(shownBytes), 0, shownBytes, 0);
    return { status, said: buffer.toString('utf8', 0, bytesRead).trim() };
  } finally {
    await rm(lockFile, { force: true });
  }
}

/** True while a program that was started for this folder still runs, even if its Holdfast was killed. */
export function isStillRunning(folder: string): boolean {
  let fd: number;
  try {
    fd = openSync(join(folder, lockName), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
  try {
    return flock(fd, exclusiveWithoutWaiting) !== 0;
  } finally {
    closeSync(fd);
  }
}
