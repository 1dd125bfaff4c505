import { awaitedLater } from '../../lib/awaited-later.ts';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';
import type { Readable } from 'node:stream';
import type { Mount } from '../../model/mount.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { type HostView, planSandbox } from './plan-sandbox.ts';
import { placeMounts, type RunOptions, type RunScope } from './place-mounts.ts';
import { userEnvironment } from '../../lib/child-environment.ts';

/** A command with volumes mounted, in its own namespace. */
export interface RunRequest {
  readonly mounts: readonly Mount[];
  readonly command: readonly string[];
  /**
   * Its working directory inside; undefined means the current one, or `/` where that does not exist inside.
   */
  readonly workingDir: string | undefined;
  /** Added to this process's environment. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface RunReport {
  /** The command's exit code; 128 plus the signal's number when a signal ended it. */
  readonly exitCode: number;
}

/** While the command runs, it handles the terminal's signals itself; `env` resets them for it. */
const ignored = 'INT,QUIT,HUP,TERM';
const heeding = `--default-signal=${ignored}`;

/**
 * Runs a command with mounted volumes on this terminal, and waits for it. The volumes are held until then.
 * When this process ends, so does the command.
 */
export async function runCommand(
  scope: RunScope,
  request: RunRequest,
  options: RunOptions,
): Promise<RunReport> {
  if (request.command.length === 0)
    throw new AppError('usage', 'No command is given', { hint: 'holdfast run -v VOLUME:/data -- COMMAND' });
  requireProgram('bwrap');
  await using opened = new AsyncDisposableStack();
  await using starting = new AsyncDisposableStack();
  const mounts = await placeMounts(scope, request.mounts, { options, opened, starting });
  const { args, fds } = planSandbox({
    mounts,
    host: hostView,
    workingDir: request.workingDir ?? workingDir(mounts.map(({ target }) => target)),
    isRoot: process.geteuid?.() === 0,
  });
  const inner = ['env', heeding, '--', ...request.command];
  const child = spawn(
    'env',
    [`--ignore-signal=${ignored}`, '--', 'bwrap', '--json-status-fd', '3', ...args, '--', ...inner],
    {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe', ...fds],
      env: { ...userEnvironment(), ...request.environment },
    },
  );
  const begun = starting.disposeAsync();
  // It fails at the end only: the volumes stay mounted while the command runs.
  awaitedLater(begun);
  const exitCode = await ended(child, options);
  await begun;
  return { exitCode };
}

function requireProgram(name: string): void {
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  if (folders.some((folder) => existsSync(`${folder}/${name}`))) return;
  throw new AppError('unsupported', `Cannot run a command with volumes: the program "${name}" is missing`, {
    hint: 'Install bubblewrap: apt-get install bubblewrap, dnf install bubblewrap.',
  });
}

async function ended(child: ChildProcess, { signal, onSignals }: RunOptions): Promise<number> {
  using passing = passSignals(child);
  const pass = (name: NodeJS.Signals): void => passing.pass(name);
  const stop = (): void => pass('SIGTERM');
  using _signals = onSignals?.(pass);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted === true) stop();
  try {
    const [code, by] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (by === null ? 0 : os.constants.signals[by]);
  } catch (error) {
    throw new AppError('unsupported', 'Cannot run the command: there is no program "env"', { cause: error });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** The first process inside, once bubblewrap has reported it. */
function startedProcess(child: ChildProcess): { pid(): number | undefined } {
  let text = '';
  const status = child.stdio[3] as Readable | null;
  status?.setEncoding('utf8');
  status?.on('data', (chunk: string) => (text += chunk));
  return {
    pid() {
      const [, pid] = /"child-pid"\s*:\s*(\d+)/.exec(text) ?? [];
      return pid === undefined ? undefined : Number(pid);
    },
  };
}

interface Passing extends Disposable {
  pass(name: NodeJS.Signals): void;
}

const lookAgainMs = 20;

/** Signals that come before the command has started wait for it. */
function passSignals(child: ChildProcess): Passing {
  const started = startedProcess(child);
  let waiting: NodeJS.Signals[] = [];
  let timer: NodeJS.Timeout | undefined;
  const deliver = (): void => {
    timer = undefined;
    const command = findCommand(started.pid());
    if (command === undefined) timer = setTimeout(deliver, lookAgainMs);
    else for (const name of waiting.splice(0)) signalProcess(command, name);
  };
  return {
    pass(name) {
      waiting.push(name);
      if (timer === undefined) deliver();
    },
    [Symbol.dispose]() {
      waiting = [];
      clearTimeout(timer);
    },
  };
}

/**
 * The first child of the first process, which only waits; undefined until it runs the command itself. Before
 * that it is a fork of the sandbox, then `env`, and both ignore the signals: one sent to them would be lost.
 */
function findCommand(first: number | undefined): number | undefined {
  if (first === undefined) return undefined;
  try {
    const [command] = readFileSync(`/proc/${first}/task/${first}/children`, 'utf8').trim().split(' ');
    if (command === undefined || command === '') return undefined;
    const line = readFileSync(`/proc/${command}/cmdline`, 'utf8');
    const isFork = line === readFileSync(`/proc/${first}/cmdline`, 'utf8');
    // While a process exchanges its program, the kernel shows no line, and what it ignored is still ignored.
    const isReplaced = line === '';
    return isFork || isReplaced || line.startsWith(`env\0${heeding}\0`) ? undefined : Number(command);
  } catch (error) {
    // It has exited in the meantime.
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

function workingDir(targets: readonly string[]): string {
  const here = process.cwd();
  const isHidden = targets.some((target) => here === target || here.startsWith(`${target}/`));
  // The inside has its own /tmp.
  return isHidden || here === '/tmp' || here.startsWith('/tmp/') ? '/' : here;
}

const hostView: HostView = {
  entry(path) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    if (found.isSymbolicLink()) return { type: 'link', linkTarget: readlinkSync(path) };
    return { type: found.isDirectory() ? 'directory' : 'file' };
  },
  names: (path) => readdirSync(path),
};
