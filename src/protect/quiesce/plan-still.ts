import type { Container, ContainerIdentity, Containers } from '../../hosts/containers.ts';
import { quote } from '../../model/quote.ts';

/** One thing that is made still and brought back: a container, or a Swarm service as a whole. */
export interface AppStep {
  /** For a service its name is `name`. */
  readonly identity: ContainerIdentity;
  /** `freeze` is a pause that the engine knows nothing of. */
  readonly how: 'pause' | 'freeze' | 'stop' | 'scale';
  /** For `freeze`: the folder of its control group. */
  readonly group?: string | undefined;
  /** What it was before; paused ones are stopped only, and paused again. */
  readonly was: 'running' | 'paused';
  /** When it was started last, RFC 3339: whoever was started since is not ours to start. Undefined where it tells nothing. */
  readonly startedAt: string | undefined;
  /** True for one whose health was good before. */
  readonly healthy: boolean;
  /** For a service: how many tasks it had. */
  readonly replicas: number | undefined;
}

export interface StillPlan {
  /** In the order in which they are made still: dependants first. What is in one level does not wait for each other. */
  readonly levels: readonly (readonly AppStep[])[];
  /** For people. */
  readonly notes: readonly string[];
}

interface StillWish {
  /** All containers of the host: who depends on whom goes through those too that are not made still. */
  readonly all: readonly Container[];
  readonly containers: readonly ContainerIdentity[];
  readonly how: 'pause' | 'stop';
  /** By id, for those that are made still in another way than the others. */
  readonly howOf?: ReadonlyMap<string, 'pause' | 'stop'> | undefined;
}

/** What to do to have the containers still; what does not run is left out. Asks for the size of Swarm services only. */
export async function planStill(
  host: Pick<Containers, 'serviceReplicas'>,
  { all, containers, how: most, howOf }: StillWish,
  signal: AbortSignal | undefined,
): Promise<StillPlan> {
  const wanted = new Set(containers.map(({ id }) => id));
  const steps = new Map<string, AppStep>();
  const depths = stopDepths(all);
  const levels: AppStep[][] = [];
  const notes: string[] = [];
  const deepest = Math.max(0, ...depths.values());
  for (const container of all) {
    if (!wanted.has(container.id)) continue;
    const how = howOf?.get(container.id) ?? most;
    const step = stepFor(container, how);
    if (step === undefined) continue;
    const service = step.how === 'stop' ? container.swarmService : undefined;
    const replicas = service === undefined ? undefined : await host.serviceReplicas(service, { signal });
    let planned: AppStep = step;
    if (service !== undefined && replicas === undefined) {
      notes.push(`The global service ${quote(service)} cannot be stopped: its containers are paused.`);
      planned = { ...step, how: 'pause' };
    } else if (service !== undefined) {
      planned = { ...step, how: 'scale', replicas, identity: { ...step.identity, name: service } };
    } else if (step.how === 'stop' && container.removesItself === true) {
      notes.push(
        `${quote(container.name)} is paused: it would be removed when it is stopped, as it was started with --rm.`,
      );
      planned = { ...step, how: 'pause' };
    }
    const key = planned.how === 'scale' ? `service ${planned.identity.name}` : container.id;
    if (planned.how === 'pause' && planned.was === 'paused') continue;
    if (steps.has(key)) continue;
    steps.set(key, planned);
    // Pausing is over at once, and nobody waits for anybody; so it comes after what takes its time to stop.
    const depth = how === 'pause' ? deepest + 1 : (depths.get(container.id) ?? 0);
    (levels[depth] ??= []).push(planned);
  }
  return { levels: levels.filter((level) => level !== undefined && level.length > 0), notes };
}

function stepFor(container: Container, how: 'pause' | 'stop'): AppStep | undefined {
  const { state } = container;
  const runs = state === 'running' || state === 'restarting';
  if (!runs && !(how === 'stop' && state === 'paused')) return undefined;
  const { id, name, stack, service, number, swarmService, startedAt } = container;
  return {
    identity: { id, name, stack, service, number, swarmService },
    // One that starts again and again cannot be paused while it waits for its next start.
    how: state === 'restarting' ? 'stop' : how,
    was: runs ? 'running' : 'paused',
    // One that starts again and again does so by itself until it is stopped.
    startedAt: state === 'restarting' ? undefined : startedAt,
    healthy: container.health === 'healthy',
    replicas: undefined,
  };
}

/** How many stops come before a container's, by id: one more than for any that depends on it. Pure. */
export function stopDepths(all: readonly Container[]): ReadonlyMap<string, number> {
  const dependants = new Map<string, Container[]>();
  for (const container of all)
    for (const service of container.dependsOn)
      for (const dependency of all)
        if (dependency.stack === container.stack && dependency.service === service)
          dependants.set(dependency.id, [...(dependants.get(dependency.id) ?? []), container]);
  const depths = new Map<string, number>();
  const depthOf = (id: string, path: ReadonlySet<string>): number => {
    const known = depths.get(id);
    if (known !== undefined) return known;
    const above = (dependants.get(id) ?? []).filter((dependant) => !path.has(dependant.id));
    const depth = Math.max(0, ...above.map((dependant) => 1 + depthOf(dependant.id, new Set([...path, id]))));
    depths.set(id, depth);
    return depth;
  };
  for (const { id } of all) depthOf(id, new Set([id]));
  return depths;
}
