import { tryNotifyService, watchdogIntervalMs } from '../lib/notify-service.ts';
import { longestTimerMs } from '../model/duration.ts';
import { type PolicyLook, runDaemon } from './daemon.ts';
import { takeDaemonLock } from './daemon-lock.ts';
import type { PoliciesAccess } from './policy-app.ts';
import { openPolicyWork } from './policy-work.ts';
import type { Clock } from './work.ts';

export interface DaemonRequest {
  readonly signal: AbortSignal;
  /** How long running jobs may take to end after a stop. */
  readonly graceMs: number;
  readonly say: (message: string) => void;
  /** Gets a function that reloads the configuration. */
  readonly onReloader?: ((reload: () => void) => void) | undefined;
  /** Gets what each look has seen. */
  readonly onLook?: ((look: PolicyLook) => void) | undefined;
}

const lookEveryMs = 60_000;

/** Runs the daemon: takes its lock, notifies the service manager, and feeds the watchdog. */
export async function runAsService(
  { stateDir, catalog, source, repository, env, open }: PoliciesAccess,
  request: DaemonRequest,
): Promise<void> {
  const { signal, graceMs, say, onReloader, onLook } = request;
  const since = new Date().toISOString();
  await using _lock = await takeDaemonLock(stateDir, { pid: process.pid, since });
  const tell = (state: string): void => tryNotifyService(env, state, say);
  // While this timer fires, the daemon's turns go on too: they share one thread, and none blocks it.
  const intervalMs = watchdogIntervalMs(env, process.pid);
  const watchdog = intervalMs === undefined ? undefined : setInterval(() => tell('WATCHDOG=1'), intervalMs);
  try {
    await runDaemon(
      {
        clock: realClock,
        memory: (await catalog()).policies,
        work: openPolicyWork({ source, repository, open }),
        say,
      },
      {
        signal,
        graceMs,
        lookEveryMs,
        onLook,
        onReady() {
          say('The daemon runs. "holdfast policy next" shows what it will do.');
          tell('READY=1\nSTATUS=Running policies');
        },
        onStopping: () => tell('STOPPING=1'),
        onReloader:
          onReloader &&
          ((reload) =>
            onReloader(() => {
              tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
              reload();
              tell('READY=1');
            })),
      },
    );
  } finally {
    clearInterval(watchdog);
  }
}

const realClock: Clock = {
  now: Date.now,
  sleep(ms, signal) {
    if (signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(ms, longestTimerMs));
    signal.addEventListener('abort', () => resolve(), { once: true });
    return promise.finally(() => clearTimeout(timer));
  },
};
