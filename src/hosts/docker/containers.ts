import type { CallOptions } from '../host.ts';
import type { Container, Containers, ExecRequest, ExecRun, TrialRequest } from '../containers.ts';
import type { EngineClient } from './engine-client.ts';
import { ImageLabels } from './image-labels.ts';

/** The containers of a Docker Engine. What a call needs is loaded by that call. */
export class DockerContainers implements Containers {
  readonly #client: EngineClient;
  readonly #images: ImageLabels;

  constructor(client: EngineClient) {
    this.#client = client;
    this.#images = new ImageLabels(client);
  }

  async list(options: CallOptions = {}): Promise<Container[]> {
    const { listContainers } = await import('./containers-read.ts');
    return await listContainers(this.#client, this.#images, options.signal);
  }

  async find(idOrName: string, options: CallOptions = {}): Promise<Container | undefined> {
    const { findContainer } = await import('./containers-read.ts');
    return await findContainer(this.#client, this.#images, { idOrName, signal: options.signal });
  }

  async stop(id: string, options: CallOptions & { readonly timeoutMs?: number }): Promise<void> {
    const { stopContainer } = await import('./containers-state.ts');
    await stopContainer(this.#client, id, options);
  }

  async start(id: string, options: CallOptions = {}): Promise<void> {
    const { startContainer } = await import('./containers-state.ts');
    await startContainer(this.#client, id, options);
  }

  async pause(id: string, options: CallOptions = {}): Promise<void> {
    const { pauseContainer } = await import('./containers-state.ts');
    await pauseContainer(this.#client, id, options);
  }

  async unpause(id: string, options: CallOptions = {}): Promise<boolean> {
    const { unpauseContainer } = await import('./containers-state.ts');
    return await unpauseContainer(this.#client, id, options);
  }

  async wasAskedToEnd(id: string, sinceMs: number, options: CallOptions = {}): Promise<boolean> {
    const { wasAskedToEnd } = await import('./containers-events.ts');
    return await wasAskedToEnd(this.#client, { id, sinceMs }, options.signal);
  }

  async clockAheadMs(options: CallOptions = {}): Promise<number> {
    const { clockAheadMs } = await import('./containers-events.ts');
    return await clockAheadMs(this.#client, options.signal);
  }

  async exec(id: string, request: ExecRequest, options: CallOptions = {}): Promise<ExecRun> {
    const { execInContainer } = await import('./containers-exec.ts');
    return await execInContainer(this.#client, { id, request }, options);
  }

  async serviceReplicas(service: string, options: CallOptions = {}): Promise<number | undefined> {
    const { serviceReplicas } = await import('./containers-swarm.ts');
    return await serviceReplicas(this.#client, service, options.signal);
  }

  async runningTasks(service: string, options: CallOptions = {}): Promise<number> {
    const { runningTasks } = await import('./containers-swarm.ts');
    return await runningTasks(this.#client, service, options.signal);
  }

  async wereTasksKilled(service: string, sinceMs: number, options: CallOptions = {}): Promise<boolean> {
    const { wereTasksKilled } = await import('./containers-events.ts');
    return await wereTasksKilled(this.#client, { service, sinceMs }, options.signal);
  }

  async scaleService(
    service: string,
    replicas: number,
    { signal, atLeast }: CallOptions & { readonly atLeast?: number | undefined } = {},
  ): Promise<void> {
    const { scaleService } = await import('./containers-swarm.ts');
    await scaleService(this.#client, { service, replicas, atLeast }, signal);
  }

  async startTrial(request: TrialRequest, options: CallOptions = {}): Promise<Container> {
    const { startTrial } = await import('./containers-trial.ts');
    return await startTrial(this.#client, this.#images, { request, signal: options.signal });
  }

  async removeTrial(trial: string, options: CallOptions = {}): Promise<void> {
    const { removeTrial } = await import('./containers-trial.ts');
    await removeTrial(this.#client, trial, options.signal);
  }

  async logs(id: string, options: CallOptions & { readonly lines?: number } = {}): Promise<string> {
    const { readLogs } = await import('./containers-logs.ts');
    return await readLogs(this.#client, id, options);
  }

  async remove(id: string, options: CallOptions = {}): Promise<void> {
    const { removeContainer } = await import('./containers-trial.ts');
    await removeContainer(this.#client, id, options.signal);
  }
}
