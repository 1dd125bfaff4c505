import { tryNotifyService, watchdogIntervalMs } from '../lib/notify-service.ts';
import { runDaemon } from './daemon.ts';
import { takeDaemonLock } from './daemon-lock.ts';
import type { PoliciesParts } from './policy-app.ts';
import { openPolicyWork } from './policy-work.ts';
import { realClock } from './real-clock.ts';

export interface DaemonRequest {
  readonly signal: AbortSignal;
  /** What is at work when it is to end has so long to come to its end. */
  readonly graceMs: number;
  readonly say: (message: string) => void;
  /** Is told how to have the configuration read anew. */
  readonly onReloader?: ((reload: () => void) => void) | undefined;
}

const lookEveryMs = 60_000;

/** The daemon with its place taken, its service manager told, and its watchdog fed. */
export async function serve(
  { protection, source, repository, env, open }: PoliciesParts,
  request: DaemonRequest,
): Promise<void> {
  const { signal, graceMs, say, onReloader } = request;
  const since = new Date(protection.now()).toISOString();
  await using _lock = await takeDaemonLock(protection.stateDir, { pid: process.pid, since });
  const tell = (state: string): void => tryNotifyService(env, state, say);
  // As long as this fires, the daemon's own turns do, too: they share one thread, and none of them waits in it.
  const intervalMs = watchdogIntervalMs(env, process.pid);
  const watchdog = intervalMs === undefined ? undefined : setInterval(() => tell('WATCHDOG=1'), intervalMs);
  try {
    await runDaemon(
      {
        clock: realClock,
        memory: (await protection.catalog()).policies,
        work: openPolicyWork({ source, repository, open }),
        say,
      },
      {
        signal,
        graceMs,
        lookEveryMs,
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
