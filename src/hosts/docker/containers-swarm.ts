import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, isAppError } from '../../model/errors.ts';
import type { EngineClient } from './engine-client.ts';
import type { EngineService, EngineTask } from './engine-types.ts';

const convergedWithinMs = 300_000;
const pollMs = 250;
const triesAtMost = 5;

/** How many tasks a service wants; undefined for one that runs everywhere, or once. */
export async function serviceReplicas(
  client: EngineClient,
  service: string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const { Spec } = await inspectService(client, service, signal);
  return Spec.Mode?.Replicated ? (Spec.Mode.Replicated.Replicas ?? 1) : undefined;
}

export async function runningTasks(
  client: EngineClient,
  service: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  return (await listTasks(client, service, signal)).filter(isAsWanted).length;
}

export interface ServiceScale {
  readonly service: string;
  readonly replicas: number;
  /** Returns when this many run; undefined for all of them. */
  readonly atLeast?: number | undefined;
}

/** Sets how many tasks a service wants, and returns when exactly that many run. */
export async function scaleService(
  client: EngineClient,
  scale: ServiceScale,
  signal: AbortSignal | undefined,
): Promise<void> {
  let graceMs = 0;
  for (let attempt = 1; ; attempt += 1) {
    const found = await inspectService(client, scale.service, signal);
    // In nanoseconds.
    graceMs = (found.Spec.TaskTemplate?.ContainerSpec?.StopGracePeriod ?? 0) / 1e6;
    if (!found.Spec.Mode?.Replicated) {
      throw new AppError(
        'unsupported',
        `Cannot scale service "${scale.service}": it has no number of replicas`,
      );
    }
    if ((found.Spec.Mode.Replicated.Replicas ?? 1) === scale.replicas) break;
    try {
      await update(client, { ...scale, found }, signal);
      break;
    } catch (error) {
      // Another process changed it since we read it: read it again.
      const isStale = isAppError(error) && /out of sequence/.test(error.detail ?? '');
      if (!isStale || attempt === triesAtMost) throw error;
    }
  }
  await untilConverged(client, { ...scale, withinMs: convergedWithinMs + graceMs }, signal);
}

async function update(
  client: EngineClient,
  { service, replicas, found }: ServiceScale & { readonly found: EngineService },
  signal: AbortSignal | undefined,
): Promise<void> {
  const { ID: id, Version: version, Spec: spec } = found;
  await client.json({
    method: 'POST',
    path: `/services/${id}/update?version=${version.Index}`,
    action: `Cannot scale service "${service}"`,
    // The whole specification must be sent; the engine removes what is left out.
    json: { ...spec, Mode: { ...spec.Mode, Replicated: { ...spec.Mode?.Replicated, Replicas: replicas } } },
    signal,
  });
}

async function untilConverged(
  client: EngineClient,
  { service, replicas, atLeast = replicas, withinMs }: ServiceScale & { readonly withinMs: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  let tasks: readonly EngineTask[] = [];
  while (performance.now() < deadline) {
    tasks = await listTasks(client, service, signal);
    const wanted = tasks.filter(isAsWanted).length;
    const others = tasks.filter((task) => isAlive(task) && task.DesiredState !== 'running').length;
    if (wanted >= Math.min(atLeast, replicas) && wanted <= replicas && others === 0) return;
    // The next call sees a cancel.
    await sleep(pollMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    if (signal?.aborted === true)
      throw new AppError('cancelled', `Cannot scale service "${service}": cancelled`);
  }
  const words = tasks.map(({ Status }) => Status?.Err).filter(Boolean);
  throw new AppError(
    'failed',
    `Service "${service}" was scaled to ${replicas}, and its tasks do not follow`,
    {
      detail: words.slice(0, 3).join('\n') || undefined,
      hint: `Look at them with "docker service ps ${service}".`,
    },
  );
}

function isAsWanted({ Status, DesiredState }: EngineTask): boolean {
  return Status?.State === 'running' && DesiredState === 'running';
}

/** A task that may have a container which writes. */
function isAlive({ Status }: EngineTask): boolean {
  return Status?.State === 'running' || Status?.State === 'starting';
}

async function listTasks(
  client: EngineClient,
  service: string,
  signal: AbortSignal | undefined,
): Promise<readonly EngineTask[]> {
  return await client.json<readonly EngineTask[]>({
    method: 'GET',
    path: `/tasks?filters=${encodeURIComponent(JSON.stringify({ service: [service] }))}`,
    action: `Cannot list the tasks of service "${service}"`,
    signal,
  });
}

async function inspectService(
  client: EngineClient,
  service: string,
  signal: AbortSignal | undefined,
): Promise<EngineService> {
  return await client.json<EngineService>({
    method: 'GET',
    path: `/services/${encodeURIComponent(service)}`,
    action: `Cannot inspect service "${service}"`,
    signal,
  });
}
