import { awaitedLater } from '../../lib/awaited-later.ts';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { type Duplex, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, isAppError } from '../../model/errors.ts';
import type { ExecRequest, ExecRun } from '../containers.ts';
import type { CallOptions } from '../host.ts';
import { inspectContainer, shortName } from './containers-read.ts';
import { noSuchContainer } from './containers-state.ts';
import type { EngineCall, EngineClient } from './engine-client.ts';
import type { EngineExec } from './engine-types.ts';
import { FrameReader, TailBuffer } from './stream-frames.ts';

interface ExecWork {
  readonly id: string;
  readonly request: ExecRequest;
}

const stderrAtMost = 64 << 10;

/** Runs a command in a container over its own connection. */
export async function execInContainer(
  client: EngineClient,
  work: ExecWork,
  { signal }: CallOptions,
): Promise<ExecRun> {
  const { request } = work;
  const action = `Cannot run "${request.command[0] ?? ''}" in container "${shortName(work.id)}"`;
  const marker = randomBytes(16).toString('hex');
  const execId = await createExec(client, { ...work, action, marker, signal });
  const call: EngineCall = {
    method: 'POST',
    path: `/exec/${execId}/start`,
    action,
    json: { Detach: false, Tty: false },
    signal,
  };
  const socket = await client.upgrade(call);
  return new RunningExec({ client, call, execId, containerId: work.id, marker, socket }).start(request.stdin);
}

interface ExecToCreate extends ExecWork {
  readonly action: string;
  readonly marker: string;
  readonly signal: AbortSignal | undefined;
}

async function createExec(client: EngineClient, exec: ExecToCreate): Promise<string> {
  const { id, request, action, signal } = exec;
  // A marker in the environment finds the process when it has to be ended: the engine has no call for that.
  const environment = { ...request.environment, [markerVariable]: exec.marker };
  const call: EngineCall = {
    method: 'POST',
    path: `/containers/${encodeURIComponent(id)}/exec`,
    action,
    json: {
      AttachStdin: request.stdin !== undefined,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
      Cmd: request.command,
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      User: request.user ?? '',
      WorkingDir: request.workingDir ?? '',
    },
    signal,
  };
  try {
    return (await client.json<{ readonly Id: string }>(call)).Id;
  } catch (error) {
    if (isAppError(error, 'not-found')) throw noSuchContainer(action, error);
    if (!isAppError(error, 'conflict')) throw error;
    const state = (await inspectContainer(client, id, signal))?.State?.Status;
    throw new AppError('conflict', `${action}: it ${state === 'paused' ? 'is paused' : 'does not run'}`, {
      detail: error.detail,
      cause: error,
    });
  }
}

interface ExecParts {
  readonly client: EngineClient;
  readonly call: EngineCall;
  readonly execId: string;
  readonly containerId: string;
  readonly marker: string;
  readonly socket: Duplex;
}

class RunningExec {
  readonly #parts: ExecParts;
  readonly #frames = new FrameReader();
  readonly #stderr = new TailBuffer(stderrAtMost);
  readonly #ended = Promise.withResolvers<{ exitCode: number; stderr: string }>();
  readonly #stdout: Readable;
  #isOver = false;

  constructor(parts: ExecParts) {
    this.#parts = parts;
    this.#stdout = new Readable({
      read: () => parts.socket.resume(),
      // A caller that stops reading does not want the rest: otherwise the command would wait for ever.
      destroy: (error, callback) => {
        // Leaving a loop over the stream destroys it with an AbortError.
        if (!this.#isOver) void this.#fail(error?.name === 'AbortError' ? undefined : (error ?? undefined));
        callback(error);
      },
    });
  }

  start(stdin: AsyncIterable<Uint8Array> | undefined): ExecRun {
    const { socket, call } = this.#parts;
    // A caller may use only the other of the two.
    awaitedLater(this.#ended.promise);
    this.#stdout.on('error', () => undefined);
    socket.on('data', (chunk: Uint8Array) => this.#take(chunk));
    socket.once('end', () => void this.#finish());
    socket.on('error', (error) => void this.#fail(this.#parts.client.failure(call, error)));
    socket.once('close', () => this.#onClose());
    const onAbort = (): void => void this.#fail(this.#cancelled());
    call.signal?.addEventListener('abort', onAbort, { once: true });
    const stop = (): void => call.signal?.removeEventListener('abort', onAbort);
    this.#ended.promise.then(stop, stop);
    if (call.signal?.aborted === true) onAbort();
    else if (stdin !== undefined) void this.#feed(stdin);
    return { stdout: this.#stdout, ended: this.#ended.promise };
  }

  #take(chunk: Uint8Array): void {
    const frames = this.#frames.read(chunk);
    if (frames === undefined) {
      void this.#fail(
        new AppError('unavailable', `${this.#parts.call.action}: the engine's stream is garbled`),
      );
      return;
    }
    for (const { stream, bytes } of frames) {
      if (stream === 'stderr') this.#stderr.add(bytes);
      else if (!this.#stdout.push(bytes)) this.#parts.socket.pause();
    }
  }

  async #feed(stdin: AsyncIterable<Uint8Array>): Promise<void> {
    const { socket } = this.#parts;
    try {
      for await (const chunk of stdin) {
        // A command may end without having read all of it.
        if (socket.destroyed || !socket.writable) return;
        if (!socket.write(chunk)) await drained(socket);
      }
      socket.end();
    } catch (error) {
      await this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** The output is complete only when the engine says that the command has ended. */
  async #finish(): Promise<void> {
    if (this.#isOver) return;
    try {
      if (!this.#frames.isAtBoundary) throw this.#parts.client.failure(this.#parts.call);
      const exitCode = await this.#exitCode();
      if (this.#isOver) return;
      this.#isOver = true;
      this.#stdout.push(null);
      this.#parts.socket.destroy();
      this.#ended.resolve({ exitCode, stderr: this.#stderr.text() });
    } catch (error) {
      await this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #exitCode(): Promise<number> {
    const { client, call, execId } = this.#parts;
    for (let waitMs = 5; ; waitMs = Math.min(waitMs * 2, 500)) {
      const { signal, action } = call;
      const exec = await client.json<EngineExec>({
        method: 'GET',
        path: `/exec/${execId}/json`,
        action,
        signal,
      });
      if (exec.Running !== true && typeof exec.ExitCode === 'number') return exec.ExitCode;
      await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
    }
  }

  /** Closing after the end of the stream is the end of the output; any other close is a failure. */
  #onClose(): void {
    if (!this.#isOver && !this.#parts.socket.readableEnded)
      void this.#fail(this.#parts.client.failure(this.#parts.call));
  }

  /**
   * Ends the command if it still runs. Undefined means that its output is no longer wanted, which is no
   * failure.
   */
  async #fail(error: Error | undefined): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { call, socket } = this.#parts;
    socket.destroy();
    const reason = call.signal?.aborted === true ? this.#cancelled() : error;
    const exitCode = await endExec(this.#parts);
    if (reason === undefined) {
      this.#ended.resolve({ exitCode: exitCode ?? 137, stderr: this.#stderr.text() });
      return;
    }
    this.#ended.reject(reason);
    this.#stdout.destroy(reason);
  }

  #cancelled(): AppError {
    return new AppError('cancelled', `${this.#parts.call.action}: cancelled`);
  }
}

function drained(socket: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const settle = (): void => {
    socket.off('drain', settle);
    socket.off('close', settle);
    resolve();
  };
  socket.once('drain', settle);
  socket.once('close', settle);
  return promise;
}

/** A variable in the environment of each command that we run in a container, and of its children. */
const markerVariable = 'HOLDFAST_EXEC';

interface ExecToEnd {
  readonly client: EngineClient;
  readonly execId: string;
  readonly containerId: string;
  readonly marker: string;
}

const stepMs = 100;
const politeSteps = 20;
const forceSteps = 20;

/**
 * Ends a command in a container, with all its children, and returns its exit code; undefined when it could
 * not be ended. Never throws. Takes no signal, because a cancel calls it.
 */
async function endExec(exec: ExecToEnd): Promise<number | undefined> {
  try {
    for (let step = 0; step < politeSteps + forceSteps; step += 1) {
      const { Running: isRunning, ExitCode: exitCode } = await inspectExec(exec);
      if (isRunning !== true) return exitCode ?? undefined;
      if (step % 5 === 0) await send(exec, step < politeSteps ? 'TERM' : 'KILL');
      await sleep(stepMs);
    }
  } catch {
    // The engine or the container is gone: there is nothing left to end.
  }
  return undefined;
}

async function inspectExec({ client, execId }: ExecToEnd): Promise<EngineExec> {
  return await client.json<EngineExec>({
    method: 'GET',
    path: `/exec/${execId}/json`,
    action: 'Cannot ask about a command in a container',
    deadlineMs: 5000,
  });
}

async function send(exec: ExecToEnd, signal: 'TERM' | 'KILL'): Promise<void> {
  if (exec.client.endpoint.kind === 'unix' && signalHere(exec.marker, signal)) return;
  await signalInside(exec, signal);
}

/** Signals the marked processes when the engine runs on this machine, and returns whether there were any. */
function signalHere(marker: string, signal: 'TERM' | 'KILL'): boolean {
  const line = `${markerVariable}=${marker}`;
  let found = false;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(line)) continue;
      process.kill(Number(pid), `SIG${signal}`);
      found = true;
    } catch {
      // The process ended in the meantime, or we may not see it.
    }
  }
  return found;
}

/**
 * The same from inside the container, if it has a shell and grep. The marker is an argument, never part of
 * the script.
 */
const script = 'for d in /proc/[0-9]*; do grep -qs "$1" "$d/environ" && kill "-$2" "${d#/proc/}"; done; true';

async function signalInside({ client, containerId, marker }: ExecToEnd, signal: string): Promise<void> {
  const action = 'Cannot end a command in a container';
  const { Id: id } = await client.json<{ readonly Id: string }>({
    method: 'POST',
    path: `/containers/${encodeURIComponent(containerId)}/exec`,
    action,
    json: { User: '0', Cmd: ['sh', '-c', script, 'sh', `${markerVariable}=${marker}`, signal] },
    deadlineMs: 5000,
  });
  await client.json({
    method: 'POST',
    path: `/exec/${id}/start`,
    action,
    json: { Detach: true },
    deadlineMs: 5000,
  });
}
