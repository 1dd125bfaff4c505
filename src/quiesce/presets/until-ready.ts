import { setTimeout as sleep } from 'node:timers/promises';
import { isAppError } from '../../model/errors.ts';
import type { PresetServer } from './preset.ts';

export type Answer<T> =
  | { readonly value: T; readonly readyAfterMs: number }
  /** It never answered, for this reason. */
  | { readonly value: undefined; readonly error: unknown };

/** Asks until there is an answer, the container has exited, or the time is over. Throws only on cancel. */
export async function untilReady<T extends object>(
  server: PresetServer,
  withinMs: number,
  ask: () => Promise<T>,
): Promise<Answer<T>> {
  const started = performance.now();
  let isRunning = true;
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 1.5, 1000)) {
    try {
      const value = await ask();
      return { value, readyAfterMs: performance.now() - started };
    } catch (error) {
      if (server.signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
      // Waiting would not help.
      const isOver = isAppError(error, 'unsupported') || isAppError(error, 'not-found');
      if (isOver || !isRunning || performance.now() - started + waitMs > withinMs)
        return { value: undefined, error };
    }
    await sleep(waitMs, undefined, { signal: server.signal });
    const { signal } = server;
    const now = await server.containers.find(server.container.id, { signal });
    // A container in a restart loop may still answer.
    isRunning = now?.state === 'running' || now?.state === 'restarting' || now?.state === 'created';
  }
}
