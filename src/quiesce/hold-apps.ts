import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerIdentity } from '../hosts/containers.ts';
import type { Host, HostAccess } from '../hosts/host.ts';
import { isAppError } from '../model/errors.ts';
import { takeLease } from '../leases/index.ts';
import type { JobOptions } from '../activity/index.ts';

interface AppsToHold {
  readonly stateDir: string;
  readonly hostIdentity: string;
  readonly containers: readonly ContainerIdentity[];
  readonly reason: string;
  /** Theirs: whoever works from another state folder is kept away from them too. */
  readonly host: Pick<Host, 'claim'>;
}

const defaultPatienceMs = 10 * 60_000;

/**
 * Holds containers, so that no other process lets them run while this one counts on their stillness, or takes them for
 * paused before when they are so for another backup only. Waits for those who have them.
 */
export async function holdApps(
  { stateDir, hostIdentity, containers, reason, host }: AppsToHold,
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
        const claim = { host, what: `app ${key}` };
        const identity = `app ${hostIdentity} ${key}`;
        held.use(await takeLease({ stateDir, identity, name, action: reason, claim }));
        break;
      } catch (error) {
        if (!isAppError(error, 'locked') || performance.now() > deadline) throw error;
        await sleep(delayMs, undefined, { signal });
      }
    }
  }
  return held.move();
}

/**
 * Looks when no other work of Holdfast has any of the containers: what such work has paused runs again then, and what is still
 * paused is so by its user.
 */
export async function lookWhenFree<T>(
  access: HostAccess & { readonly stateDir: string },
  {
    containers,
    look,
  }: { readonly containers: readonly ContainerIdentity[]; readonly look: () => Promise<T> },
  options: JobOptions & { readonly patienceMs?: number | undefined },
): Promise<T> {
  const host = await access.host();
  const { identity: hostIdentity } = await host.info({ signal: options.signal });
  const apps = { stateDir: access.stateDir, hostIdentity, host, containers, reason: 'look at' };
  await using _held = await holdApps(apps, options);
  return await look();
}

function keyOf({ swarmService, stack, service, number, name }: ContainerIdentity): string {
  if (swarmService !== undefined) return `swarm ${swarmService}`;
  return stack !== undefined && service !== undefined ? `compose ${stack} ${service} ${number}` : name;
}
