import type { CallOptions } from '../host.ts';
import type { Container, Containers, ExecRequest, ExecRun, Image, TrialRequest } from '../containers.ts';
import type { EngineClient } from './engine-client.ts';
import { readFileOf } from './containers-files.ts';
import { findImage } from './images.ts';
import { ImageLabels } from './image-labels.ts';
import { findContainer, listContainers } from './containers-read.ts';
import { pauseContainer, startContainer, stopContainer, unpauseContainer } from './containers-state.ts';
import { clockAheadMs, wasAskedToEnd, wereTasksKilled } from './containers-events.ts';
import { execInContainer } from './containers-exec.ts';
import { runningTasks, scaleService, serviceReplicas } from './containers-swarm.ts';
import { removeContainer, removeTrial, startTrial } from './containers-trial.ts';
import { readLogs } from './containers-logs.ts';

/** The containers of a Docker Engine. What a call needs is loaded by that call. */
export class DockerContainers implements Containers {
  readonly #client: EngineClient;
  readonly #images: ImageLabels;

  constructor(client: EngineClient) {
    this.#client = client;
    this.#images = new ImageLabels(client);
  }

  async list(options: CallOptions = {}): Promise<Container[]> {
    return await listContainers(this.#client, this.#images, options.signal);
  }

  async find(idOrName: string, options: CallOptions = {}): Promise<Container | undefined> {
    return await findContainer(this.#client, this.#images, { idOrName, signal: options.signal });
  }

  async stop(id: string, options: CallOptions & { readonly timeoutMs?: number }): Promise<void> {
    await stopContainer(this.#client, id, options);
  }

  async start(id: string, options: CallOptions = {}): Promise<void> {
    await startContainer(this.#client, id, options);
  }

  async pause(id: string, options: CallOptions = {}): Promise<void> {
    await pauseContainer(this.#client, id, options);
  }

  async unpause(id: string, options: CallOptions = {}): Promise<boolean> {
    return await unpauseContainer(this.#client, id, options);
  }

  async wasAskedToEnd(id: string, sinceMs: number, options: CallOptions = {}): Promise<boolean> {
    return await wasAskedToEnd(this.#client, { id, sinceMs }, options.signal);
  }

  async clockAheadMs(options: CallOptions = {}): Promise<number> {
    return await clockAheadMs(this.#client, options.signal);
  }

  async exec(id: string, request: ExecRequest, options: CallOptions = {}): Promise<ExecRun> {
    return await execInContainer(this.#client, { id, request }, options);
  }

  async serviceReplicas(service: string, options: CallOptions = {}): Promise<number | undefined> {
    return await serviceReplicas(this.#client, service, options.signal);
  }

  async runningTasks(service: string, options: CallOptions = {}): Promise<number> {
    return await runningTasks(this.#client, service, options.signal);
  }

  async wereTasksKilled(service: string, sinceMs: number, options: CallOptions = {}): Promise<boolean> {
    return await wereTasksKilled(this.#client, { service, sinceMs }, options.signal);
  }

  async scaleService(
    service: string,
    replicas: number,
    { signal, atLeast }: CallOptions & { readonly atLeast?: number | undefined } = {},
  ): Promise<void> {
    await scaleService(this.#client, { service, replicas, atLeast }, signal);
  }

  async findImage(name: string, options: CallOptions = {}): Promise<Image | undefined> {
    return await findImage(this.#client, name, options.signal);
  }

  async readFile(id: string, path: string, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    return await readFileOf(this.#client, { id, path, signal: options.signal });
  }

  async startTrial(request: TrialRequest, options: CallOptions = {}): Promise<Container> {
    return await startTrial(this.#client, this.#images, { request, signal: options.signal });
  }

  async removeTrial(trial: string, options: CallOptions = {}): Promise<void> {
    await removeTrial(this.#client, trial, options.signal);
  }

  async logs(id: string, options: CallOptions & { readonly lines?: number } = {}): Promise<string> {
    return await readLogs(this.#client, id, options);
  }

  async remove(id: string, options: CallOptions = {}): Promise<void> {
    await removeContainer(this.#client, id, options.signal);
  }
}
