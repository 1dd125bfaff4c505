import type { Container, ContainerIdentity } from '../../hosts/containers.ts';
import { ownStack } from '../container-labels.ts';
import type { Hook } from '../../model/hook.ts';

/** A hook with the container that it runs in. */
export interface PlannedHook {
  readonly hook: Hook;
  /** Undefined when the named container does not exist: reported when the hook is due. */
  readonly identity: ContainerIdentity | undefined;
  /** The named container exists, but the hook may not reach it. */
  readonly isOutOfReach?: boolean | undefined;
}

/** Hooks as they were set, and where. */
export interface SaidHooks {
  readonly hooks: readonly Hook[];
  /** The container whose label sets it; undefined for a volume's label, or a file. */
  readonly container: Container | undefined;
  /** Where a named service is looked up first; hooks from labels and Compose files run nowhere else. */
  readonly stack: string | undefined;
}

/**
 * Finds the containers of hooks; pure. A hook from a container's own label needs that container to run: a
 * stopped one has nothing to prepare. The same hook set for several volumes counts once.
 */
export function chooseHooks(said: readonly SaidHooks[], all: readonly Container[]): PlannedHook[] {
  const chosen = new Map<string, PlannedHook>();
  for (const { hooks, container, stack } of said) {
    for (const hook of hooks) {
      if (hook.target === undefined && container !== undefined && container.state !== 'running') continue;
      const found = hook.target === undefined ? container : findTarget(hook.target, stack, all);
      const key = JSON.stringify([found?.id, hook]);
      if (chosen.has(key)) continue;
      const isReached =
        found === undefined || found === container || hook.runsAnywhere === true || isOfStack(found, stack);
      chosen.set(
        key,
        isReached
          ? { hook, identity: found && identityOf(found) }
          : { hook, identity: undefined, isOutOfReach: true },
      );
    }
  }
  return [...chosen.values()];
}

/** A service of the stack, a container by name or id, or a service of any stack if its name is unique. */
function findTarget(
  target: string,
  stack: string | undefined,
  all: readonly Container[],
): Container | undefined {
  const running = all.filter(({ state }) => state === 'running');
  const services = running.filter(({ service }) => service === target);
  return (
    services.find((container) => isOfStack(container, stack)) ??
    running.find(({ name, id }) => name === target || (target.length >= 12 && id.startsWith(target))) ??
    running.find(({ swarmService }) => swarmService === target) ??
    (services.length === 1 ? services[0] : undefined)
  );
}

/** An image's stack label does not make its container part of that stack. */
function isOfStack(container: Container, stack: string | undefined): boolean {
  return stack !== undefined && ownStack(container) === stack;
}

function identityOf({ id, name, stack, service, number, swarmService }: Container): ContainerIdentity {
  return { id, name, stack, service, number, swarmService };
}

/** The same for the same command in the same container, even after that was recreated. */
export function hookKey({ hook, identity }: PlannedHook): string {
  const { stack, service, number, swarmService, name } = identity ?? {};
  const place = service === undefined ? [swarmService ?? name ?? hook.target] : [stack, service, number];
  return JSON.stringify([hook.moment, hook.command, hook.user, place]);
}
