import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { workerModule } from '../../lib/worker-module.ts';
import { AppError } from '../../model/errors.ts';

/** Watches over control groups that are to be frozen: whatever becomes of this process, they run again. */
export interface Guardian extends AsyncDisposable {
  /** Settles when it has ended, which nobody has asked it for. */
  readonly lost: Promise<void>;
  /** To be called just before the first of them is frozen: its time starts. Returns when that is sent, which is enough. */
  watch(): Promise<void>;
  /** They run again, and it may end. Returns at once; the disposal waits for its end. */
  dismiss(): void;
}

export interface GuardianOptions {
  /** How long they may be frozen. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** How long it may take to be ready. */
  readonly readyMs?: number | undefined;
}

const endMs = 2000;

/** Returns when it is ready. Throws where it cannot be started: then nothing is to be frozen. */
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
      // A session of its own: what ends this process's group does not reach it.
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
