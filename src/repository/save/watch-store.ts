import type { StillMoment } from '../types.ts';
import type { SaveScheduler } from './save-scheduler.ts';

/** A store that takes nothing for so long is not waited for by containers that stand still. */
const storeStallMs = 20_000;

/**
 * Lets the data go when what is read waits for the store and nothing of it comes to an end, however long the data may be
 * still for the reading: a store that cannot be reached is tried again for many minutes. Ends with its disposal.
 */
export function watchStore(
  scheduler: Pick<SaveScheduler, 'stalledForMs'>,
  moment: Pick<StillMoment, 'cut'> | undefined,
  { stallMs = storeStallMs, everyMs = 1000 } = {},
): Disposable {
  const timer = setInterval(() => {
    if (scheduler.stalledForMs() < stallMs) return;
    clearInterval(timer);
    moment?.cut?.(`the repository has taken nothing for ${Math.round(stallMs / 1000)} s`);
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
