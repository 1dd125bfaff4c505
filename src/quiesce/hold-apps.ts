import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerIdentity } from '../hosts/containers.ts';
import type { Host, HostScope } from '../hosts/host.ts';
import { isAppError } from '../model/errors.ts';
import { takeLease } from '../leases/index.ts';
import type { JobOptions } from '../activity/index.ts';

interface AppsToHold {
  readonly stateDir: string;
  readonly hostIdentity: string;
  readonly containers: readonly ContainerIdentity[];
  readonly reason: string;
  /** Claims on the host, which also keep out processes with another state folder. */
  readonly host: Pick<Host, 'claim'>;
}

const defaultPatienceMs = 10 * 60_000;

/**
 * Holds containers, so that no other process starts them while this one relies on their stillness, and so
 * that this one does not take another backup's pause for the user's. Waits for their holders.
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
 * Looks when no other Holdfast process holds any of the containers: what it had paused runs again by then,
 * and what is still paused was paused by its user.
 */
export async function lookWhenFree<T>(
  access: HostScope,
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
