import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { workerModule } from '../../lib/worker-module.ts';
import { AppError } from '../../model/errors.ts';

/** Watches over control groups that are to be frozen, and thaws them even if this process dies. */
export interface Guardian extends AsyncDisposable {
  /** Settles when the guardian has ended unasked. */
  readonly lost: Promise<void>;
  /**
   * Call it just before the first freeze: starts the guardian's clock. Returns once the message is sent,
   * which is enough.
   */
  watch(): Promise<void>;
  /** The groups run again, and the guardian may end. Returns at once; disposing waits for its end. */
  dismiss(): void;
}

export interface GuardianOptions {
  /** How long they may be frozen. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** How long it may take to start. */
  readonly readyMs?: number | undefined;
}

const endMs = 2000;

/** Returns when the guardian is ready. Throws where it cannot be started: then nothing may be frozen. */
export async function startGuardian(
  folders: readonly string[],
  { deadlineMs, signal, readyMs = 10_000 }: GuardianOptions,
): Promise<Guardian> {
  const program = fileURLToPath(workerModule('./guardian-worker', import.meta.url));
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=1', program, String(deadlineMs), ...folders],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
      // In its own session, so that a signal to this process's group does not reach it.
      detached: true,
      cwd: '/',
      env: {},
    },
  );
  const ended = Promise.withResolvers<void>();
  child.on('exit', () => ended.resolve());
  child.on('error', () => ended.resolve());
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
  await guardian[Symbol.asyncDispose]();
  signal?.throwIfAborted();
  throw new AppError('failed', 'Nobody could be started to watch over frozen containers');
}
