import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';
import type { Readable } from 'node:stream';
import { AppError, errnoOf } from '../../model/errors.ts';
import { type HostView, planSandbox } from './plan-sandbox.ts';
import { placeMounts } from './place-mounts.ts';
import type { RunOptions, RunParts, RunReport, RunRequest } from './run-types.ts';

/** While the command runs, the terminal's signals are its own to heed; `env` sets that right again for it. */
const ignored = 'INT,QUIT,HUP,TERM';

/**
 * Runs a command with volumes in their places, on this terminal, and waits for it. The volumes are held until then.
 * Whatever ends this process ends the command too.
 */
export async function runCommand(
  parts: RunParts,
  request: RunRequest,
  options: RunOptions,
): Promise<RunReport> {
  if (request.command.length === 0)
    throw new AppError('usage', 'No command is given', { hint: 'holdfast run -v VOLUME:/data -- COMMAND' });
  requireProgram('bwrap');
  await using opened = new AsyncDisposableStack();
  const mounts = await placeMounts(parts, request.mounts, { options, opened });
  const { args, fds } = planSandbox({
    mounts,
    host: hostView,
    workingDir: request.workingDir ?? workingDir(mounts.map(({ target }) => target)),
    isRoot: process.geteuid?.() === 0,
  });
  const inner = ['env', `--default-signal=${ignored}`, '--', ...request.command];
  const child = spawn(
    'env',
    [`--ignore-signal=${ignored}`, '--', 'bwrap', '--json-status-fd', '3', ...args, '--', ...inner],
    {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe', ...fds],
      env: { ...process.env, ...request.environment },
    },
  );
  return { exitCode: await ended(child, options) };
}

function requireProgram(name: string): void {
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  if (folders.some((folder) => existsSync(`${folder}/${name}`))) return;
  throw new AppError('unsupported', `Cannot run a command with volumes: the program "${name}" is missing`, {
    hint: 'Install bubblewrap: apt-get install bubblewrap, dnf install bubblewrap.',
  });
}

async function ended(child: ChildProcess, { signal, onSignals }: RunOptions): Promise<number> {
  const started = startedProcess(child);
  const pass = (name: NodeJS.Signals): void => signalCommand(started.pid(), name);
  const stop = (): void => pass('SIGTERM');
  using _signals = onSignals?.(pass);
  signal?.addEventListener('abort', stop);
  try {
    const [code, by] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (by === null ? 0 : os.constants.signals[by]);
  } catch (error) {
    throw new AppError('unsupported', 'Cannot run the command: there is no program "env"', { cause: error });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** The first process inside, once bubblewrap has told of it. */
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

/** The command is the first child of the first process, which only waits. */
function signalCommand(first: number | undefined, name: NodeJS.Signals): void {
  if (first === undefined) return;
  try {
    const children = readFileSync(`/proc/${first}/task/${first}/children`, 'utf8');
    const [command] = children.trim().split(' ').filter(Boolean);
    if (command !== undefined) process.kill(Number(command), name);
  } catch (error) {
    // It has ended in the meantime.
    if (!['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) throw error;
  }
}

function workingDir(targets: readonly string[]): string {
  const here = process.cwd();
  const isHidden = targets.some((target) => here === target || here.startsWith(`${target}/`));
  // What is in /tmp is not seen inside.
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
