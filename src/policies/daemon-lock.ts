import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLockFile } from '../lib/file-lock.ts';
import { AppError } from '../model/errors.ts';
import { localTime } from '../model/local-time.ts';

/** The daemon that runs the policies of a state folder. */
export interface DaemonState {
  readonly pid: number;
  /** RFC 3339. */
  readonly since: string;
}

/**
 * Takes the daemon's lock of a state folder; `locked` when another daemon has it. The kernel releases it with
 * the process.
 */
export async function takeDaemonLock(stateDir: string, state: DaemonState): Promise<AsyncDisposable> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const deadline = performance.now() + lookedAtMs;
  for (;;) {
    const taken = await tryLockFile(lockPath(stateDir), { owner: JSON.stringify(state) });
    if (!('heldBy' in taken)) return taken;
    const other = parseState(taken.heldBy);
    // A holder without a name is a process that only checks, or a daemon that has not written its name yet.
    if (other !== undefined || performance.now() > deadline) throw runsAlready(stateDir, other);
    await sleep(20);
  }
}

const lookedAtMs = 2000;

function runsAlready(stateDir: string, other: DaemonState | undefined): AppError {
  return new AppError('locked', `A daemon runs the policies of "${stateDir}" already`, {
    detail: other && `It is process ${other.pid}, since ${localTime(other.since)}.`,
    hint: 'Two would do everything twice. End the other one first: systemctl stop holdfast, or kill with its number.',
  });
}

/** The running daemon; undefined when there is none. */
export async function findDaemon(stateDir: string): Promise<DaemonState | undefined> {
  try {
    const taken = await tryLockFile(lockPath(stateDir), { owner: '' });
    if ('heldBy' in taken) return parseState(taken.heldBy) ?? { pid: 0, since: '' };
    await taken[Symbol.asyncDispose]();
  } catch {
    // Without a state folder, or permission to read it, no daemon of this user runs.
  }
  return undefined;
}

function lockPath(stateDir: string): string {
  return path.join(stateDir, 'daemon.lock');
}

function parseState(text: string): DaemonState | undefined {
  try {
    const state: unknown = JSON.parse(text);
    if (typeof state === 'object' && state !== null && 'pid' in state && 'since' in state)
      return { pid: Number(state.pid), since: String(state.since) };
  } catch {
    // It has not written its name yet.
  }
  return undefined;
}
