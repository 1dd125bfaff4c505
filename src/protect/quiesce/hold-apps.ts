import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerIdentity } from '../../hosts/containers.ts';
import { isAppError } from '../../model/errors.ts';
import { takeLease } from '../lease.ts';
import type { JobOptions } from '../protection.ts';

interface AppsToHold {
  readonly stateDir: string;
  readonly hostIdentity: string;
  readonly containers: readonly ContainerIdentity[];
  readonly reason: string;
}

const defaultPatienceMs = 10 * 60_000;

/**
 * Holds containers, so that no other process lets them run while this one counts on their stillness, or takes them for
 * paused before when they are so for another backup only. Waits for those who have them.
 */
export async function holdApps(
  { stateDir, hostIdentity, containers, reason }: AppsToHold,
  { signal, patienceMs = defaultPatienceMs }: JobOptions & { readonly patienceMs?: number | undefined },
): Promise<AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  const names = new Map(containers.map((container) => [keyOf(container), container.name]));
  const deadline = performance.now() + patienceMs;
  // In one order for all, so that two never wait for each other.
  for (const [key, name] of [...names].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (let delayMs = 10; ; delayMs = Math.min(delayMs * 2, 500)) {
      signal?.throwIfAborted();
      try {
        held.use(await takeLease({ stateDir, identity: `app ${hostIdentity} ${key}`, name, action: reason }));
        break;
      } catch (error) {
        if (!isAppError(error, 'locked') || performance.now() > deadline) throw error;
        await sleep(delayMs, undefined, { signal });
      }
    }
  }
  return held.move();
}

function keyOf({ swarmService, stack, service, number, name }: ContainerIdentity): string {
  if (swarmService !== undefined) return `swarm ${swarmService}`;
  return stack !== undefined && service !== undefined ? `compose ${stack} ${service} ${number}` : name;
}
