import type { Container, ContainerIdentity, Containers } from '../hosts/containers.ts';
import { quote } from '../model/quote.ts';

/** One thing that is made still and brought back: a container, or a Swarm service as a whole. */
export interface AppStep {
  /** For a service, `name` is the service's. */
  readonly identity: ContainerIdentity;
  /** `freeze` is a pause that the engine does not know of. */
  readonly how: 'pause' | 'freeze' | 'stop' | 'scale';
  /** For `freeze`: the folder of its control group. */
  readonly group?: string | undefined;
  /**
   * Its state before. `restarting` was in a restart loop, and need not be healthy afterwards. A paused one
   * that was stopped is paused again.
   */
  readonly was: 'running' | 'restarting' | 'paused';
  /**
   * When it was started last, RFC 3339: a container started since is not ours to start. Undefined where the
   * time tells nothing.
   */
  readonly startedAt: string | undefined;
  /** True if it was healthy before. */
  readonly healthy: boolean;
  /** For a service: its number of tasks. */
  readonly replicas: number | undefined;
  /** For a service: how many of them ran. Tasks that could not run before are not waited for. */
  readonly running?: number | undefined;
  /** How long it has to exit by itself when it is stopped; undefined for no bound, or if unknown. */
  readonly stopTimeoutMs?: number | undefined;
  /** If read from a journal: when it was about to be made still, in milliseconds since 1970. */
  readonly touchedAtMs?: number | undefined;
}

/** A container that cannot be stopped and started again as it is now. */
export interface Unstoppable {
  readonly name: string;
  /** Continues "NAME cannot be stopped: ". */
  readonly why: string;
  /** `paused` is still all the same; `left` is unchanged: its user has paused it. */
  readonly instead: 'paused' | 'left';
}

export interface ContainersPlan {
  /** In the order in which they are made still: dependants first. Steps in one level are independent. */
  readonly levels: readonly (readonly AppStep[])[];
  /** Those that should be stopped and are not. */
  readonly unstoppable: readonly Unstoppable[];
}

interface ContainersPlanRequest {
  /** All containers of the host: dependencies also go through those that are not made still. */
  readonly all: readonly Container[];
  readonly containers: readonly ContainerIdentity[];
  readonly how: 'pause' | 'stop';
  /** By container id: those that are stopped or paused differently from the rest. */
  readonly howOf?: ReadonlyMap<string, 'pause' | 'stop'> | undefined;
  /** The id of the container that this process runs in. */
  readonly own?: string | undefined;
  /**
   * Stops paused ones too and pauses them again, though their memory is lost: for data that is half old and
   * half new, on which nothing may go on.
   */
  readonly stopsPaused?: boolean | undefined;
}

/**
 * Plans how to make the containers still; leaves out those that do not run. A container that has joined the
 * network, the processes or the memory of a stopped one would lose it, so it is stopped before and started
 * after it, requested or not. Asks the host for Swarm services only.
 */
export async function planContainers(
  host: Pick<Containers, 'serviceReplicas' | 'runningTasks'>,
  request: ContainersPlanRequest,
  signal: AbortSignal | undefined,
): Promise<ContainersPlan> {
  const { all } = request;
  const joiners = joinersOf(all);
  const { ways, unstoppable } = await chooseWays(host, { ...request, joiners }, signal);
  const steps = new Map<string, AppStep>();
  const depths = stopDepths(all, joiners);
  const levels: AppStep[][] = [];
  const deepest = Math.max(0, ...depths.values());
  for (const container of all) {
    const way = ways.get(container.id);
    if (way === undefined) continue;
    const service = way === 'stop' ? container.swarmService : undefined;
    const planned =
      service === undefined ? stepFor(container, way) : await scaleStep(host, { container, service }, signal);
    const key = planned.how === 'scale' ? `service ${planned.identity.name}` : container.id;
    if (steps.has(key)) continue;
    steps.set(key, planned);
    // A pause is instant and has no order, so it comes after the slow stops.
    const depth = way === 'pause' ? deepest + 1 : (depths.get(container.id) ?? 0);
    (levels[depth] ??= []).push(planned);
  }
  return { levels: levels.filter((level) => level !== undefined && level.length > 0), unstoppable };
}

/** For people: what a backup does instead. */
export function describeUnstoppable({ name, why, instead }: Unstoppable): string {
  return instead === 'left'
    ? `${quote(name)} stays as it is: ${why}.`
    : `${quote(name)} is paused and not stopped: ${why}.`;
}

interface Ways {
  /** By container id. */
  readonly ways: ReadonlyMap<string, 'pause' | 'stop'>;
  readonly unstoppable: readonly Unstoppable[];
}

async function chooseWays(
  host: Pick<Containers, 'serviceReplicas'>,
  {
    all,
    containers,
    how: most,
    howOf,
    own,
    stopsPaused,
    joiners,
  }: ContainersPlanRequest & { readonly joiners: Joiners },
  signal: AbortSignal | undefined,
): Promise<Ways> {
  const wanted = new Set(containers.map(({ id }) => id));
  const ways = new Map<string, 'pause' | 'stop'>();
  const unstoppable: Unstoppable[] = [];
  for (const container of all) {
    const { id, name, state } = container;
    if (!wanted.has(id) || !isUp(container)) continue;
    if ((howOf?.get(id) ?? most) === 'pause') {
      // A container in a restart loop cannot be paused between two starts. Its joiners have lost it anyway.
      if (state === 'restarting') ways.set(id, 'stop');
      else if (state !== 'paused' && !ways.has(id)) ways.set(id, 'pause');
      continue;
    }
    const joined = allJoiners(container, joiners);
    const why = await whyUnstoppable(host, { container, joined, own, stopsPaused }, signal);
    if (why === undefined) {
      for (const one of [container, ...joined]) ways.set(one.id, 'stop');
      continue;
    }
    unstoppable.push({ name, why, instead: state === 'paused' ? 'left' : 'paused' });
    if (state !== 'paused' && !ways.has(id)) ways.set(id, 'pause');
  }
  return { ways, unstoppable };
}

interface ToStop {
  readonly container: Container;
  readonly joined: readonly Container[];
  readonly own: string | undefined;
  readonly stopsPaused: boolean | undefined;
}

/** Undefined when it can be stopped and started again, with all that have joined it, without loss. */
async function whyUnstoppable(
  host: Pick<Containers, 'serviceReplicas'>,
  { container, joined, own, stopsPaused }: ToStop,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { state, swarmService, removesItself, id } = container;
  if (id === own) return 'Holdfast itself runs in it';
  if (state === 'paused' && stopsPaused !== true)
    return 'it is paused, and what it has in memory would be lost';
  if (swarmService !== undefined && (await host.serviceReplicas(swarmService, { signal })) === undefined)
    return `it belongs to the global service ${quote(swarmService)}`;
  if (removesItself === true) return 'it was started with --rm and would be removed';
  for (const joiner of joined) {
    const named = `${quote(joiner.name)} shares its network, processes or memory`;
    if (swarmService !== undefined) return `${named}, and another task would take its place`;
    const why = await whyUnstoppable(host, { container: joiner, joined: [], own, stopsPaused }, signal);
    if (why !== undefined) return `${named}, and cannot be stopped: ${why}`;
  }
  return undefined;
}

function stepFor(container: Container, how: 'pause' | 'stop'): AppStep {
  const { id, name, stack, service, number, swarmService, startedAt, state, health, stopTimeoutMs } =
    container;
  return {
    identity: { id, name, stack, service, number, swarmService },
    how,
    was: state === 'restarting' || state === 'paused' ? state : 'running',
    // A container in a restart loop restarts by itself until it is stopped.
    startedAt: state === 'restarting' ? undefined : startedAt,
    healthy: health === 'healthy',
    replicas: undefined,
    // JSON has no infinity.
    stopTimeoutMs: Number.isFinite(stopTimeoutMs) ? stopTimeoutMs : undefined,
  };
}

async function scaleStep(
  host: Pick<Containers, 'serviceReplicas' | 'runningTasks'>,
  { container, service }: { readonly container: Container; readonly service: string },
  signal: AbortSignal | undefined,
): Promise<AppStep> {
  const replicas = await host.serviceReplicas(service, { signal });
  const running = await host.runningTasks(service, { signal });
  const step = stepFor(container, 'stop');
  return { ...step, how: 'scale', replicas, running, identity: { ...step.identity, name: service } };
}

function isUp({ state }: Container): boolean {
  return state === 'running' || state === 'restarting' || state === 'paused';
}

/** By container id: those that have joined it. */
type Joiners = ReadonlyMap<string, readonly Container[]>;

/** Only those that are up: the others join when they are started. */
function joinersOf(all: readonly Container[]): Joiners {
  const joiners = new Map<string, Container[]>();
  for (const container of all.filter(isUp))
    for (const { id } of referredTo(all, container.joins))
      joiners.set(id, [...(joiners.get(id) ?? []), container]);
  return joiners;
}

/** An engine names them by id; some are given by name. */
function referredTo(all: readonly Container[], references: readonly string[] = []): Container[] {
  return references.flatMap(
    (reference) => all.find(({ id }) => id === reference) ?? all.find(({ name }) => name === reference) ?? [],
  );
}

/** Includes those that have joined the joiners. */
function allJoiners({ id }: Container, joiners: Joiners): readonly Container[] {
  const found = new Map<string, Container>();
  const queue = [id];
  for (let next = queue.pop(); next !== undefined; next = queue.pop())
    for (const joiner of joiners.get(next) ?? []) {
      if (joiner.id === id || found.has(joiner.id)) continue;
      found.set(joiner.id, joiner);
      queue.push(joiner.id);
    }
  return [...found.values()];
}

/** By container id, how many stops come before it: one more than for any that depends on it. Pure. */
export function stopDepths(
  all: readonly Container[],
  joiners: Joiners = joinersOf(all),
): ReadonlyMap<string, number> {
  const dependants = new Map<string, Container[]>();
  const note = (dependency: Container, dependant: Container): void =>
    void dependants.set(dependency.id, [...(dependants.get(dependency.id) ?? []), dependant]);
  for (const container of all) {
    for (const service of container.dependsOn)
      for (const dependency of all)
        if (dependency.stack === container.stack && dependency.service === service)
          note(dependency, container);
    for (const dependency of referredTo(all, container.volumesFrom)) note(dependency, container);
    for (const joiner of joiners.get(container.id) ?? []) note(container, joiner);
  }
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
