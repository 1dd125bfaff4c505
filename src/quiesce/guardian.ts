import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AppError } from '../model/errors.ts';

/** A process that makes containers run again when this one is killed while it keeps them still. */
export interface Guardian extends AsyncDisposable {
  /** Settles when the guardian has ended unasked. */
  readonly lost: Promise<void>;
  /**
   * Call it just before the first freeze: starts the clock of a guardian of frozen containers. Returns once the message
   * is sent, which is enough.
   */
  watch(): Promise<void>;
  /** All runs again, and the guardian may end. Returns at once; disposing waits for its end. */
  dismiss(): void;
}

export interface GuardianOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long it may take to start. */
  readonly readyMs?: number | undefined;
}

const endMs = 2000;

/** Runs a module with arguments, and returns when it says that it is ready. Throws where it cannot be started. */
export async function startGuardian(
  module: URL | string,
  args: readonly string[],
  { signal, readyMs = 10_000 }: GuardianOptions,
): Promise<Guardian> {
  const child = spawn(process.execPath, ['--max-semi-space-size=1', fileURLToPath(module), ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
    // In its own session, so that a signal to this process's group does not reach it.
    detached: true,
    cwd: '/',
    env: {},
  });
  const ended = Promise.withResolvers<void>();
  child.on('exit', () => ended.resolve());
  child.on('error', () => ended.resolve());
  // It has ended, which is reported above.
  child.stdin.on('error', () => undefined);
  child.stdout.on('error', () => undefined);
  const guardian: Guardian = {
    lost: ended.promise,
    watch: async () => new Promise((resolve) => child.stdin.write('f', () => resolve())),
    dismiss: () => void child.stdin.write('d'),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), endMs);
      await ended.promise;
      clearTimeout(timer);
      child.stdout.destroy();
    },
  };
  const limit = AbortSignal.any([AbortSignal.timeout(readyMs), ...(signal === undefined ? [] : [signal])]);
  const isReady = await Promise.race([
    once(child.stdout, 'data', { signal: limit }).then(
      () => true,
      () => false,
    ),
    ended.promise.then(() => false),
  ]);
  if (isReady) return guardian;
  // One that has just become ready must not take the end of its pipe for this process's.
  guardian.dismiss();
  await guardian[Symbol.asyncDispose]();
  signal?.throwIfAborted();
  throw new AppError('failed', 'The process that is to watch over the containers cannot be started');
}
